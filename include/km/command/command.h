/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program made of subcommands: a table of them, from which usage, help and suggestions come. A
 * command parses its own arguments (getopt_long, optind starts at 1), answers --help itself, prints
 * results to stdout and what is wrong to stderr. One thread; entered from main.
 */
#ifndef KM_COMMAND_COMMAND_H
#define KM_COMMAND_COMMAND_H

#include <stddef.h>

/* Exit codes of every command. */
enum km_command_exit {
	KM_COMMAND_OK = 0,
	KM_COMMAND_FAILED = 1,  /* asked well, but it did not work */
	KM_COMMAND_USAGE = 2,   /* bad arguments or a bad file */
	KM_COMMAND_STOPPED = 3, /* interrupted, or stopped at a gate: can go on from there */
};

struct km_command {
	const char *name;
	const char *one_line; /* in the list that `help` prints */
	int (*run)(int argc,
	           char **argv); /* argv[0] is the command; returns enum km_command_exit */
};

struct km_command_program {
	const char *name;                 /* as it calls itself, and on stderr */
	const char *page;                 /* its man page: "kubemarla(1)" */
	const struct km_command *command; /* [commands] */
	size_t commands;
};

/*
 * Runs the command that argv[1] names; --help, -h, --version and -V are `help` and `version`.
 * returns the exit code of the program; output that cannot be written makes it KM_COMMAND_FAILED.
 * mem: p is borrowed for the life of the process.
 */
int km_command_main(const struct km_command_program *p, int argc, char **argv);

/* The row "help" of every table: lists the commands, or explains one. */
int km_command_help(int argc, char **argv);

/*
 * For a command's own options: prints `usage`, which begins with the command's name, to stdout
 * (asked for) or to stderr. returns the exit code that goes with it.
 */
int km_command_usage(const char *usage, int asked);

#endif
