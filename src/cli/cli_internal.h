/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the tool: a subcommand is a row in the table of main.c and one function in a file of its
 * own. A command parses its own arguments (getopt_long, optind starts at 1), answers --help itself,
 * prints results to stdout and what is wrong to stderr.
 */
#ifndef KM_CLI_INTERNAL_H
#define KM_CLI_INTERNAL_H

/* Exit codes of every command. */
enum km_cli_exit {
	KM_CLI_OK = 0,
	KM_CLI_FAILED = 1, /* asked well, but it did not work */
	KM_CLI_USAGE = 2,  /* bad arguments or a bad file */
};

struct km_cli_command {
	const char *name;
	const char *one_line;              /* in the list of `kubemarla help` */
	int (*run)(int argc, char **argv); /* argv[0] is the command; returns enum km_cli_exit */
};

/* The daemon's configuration: check.c */
int km_cli_check(int argc, char **argv);
int km_cli_config(int argc, char **argv);

/* Recorded runs to a model, and how good it is: eval.c */
int km_cli_train(int argc, char **argv);
int km_cli_eval(int argc, char **argv);

/*
 * For a command's own options: prints `usage` to stdout (asked for) or to stderr. returns the exit
 * code that goes with it.
 */
int km_cli_usage(const char *usage, int asked);

#endif
