/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the tool: a subcommand is a row in the table of main.c and one function in a file of its
 * own. A command parses its own arguments (getopt_long, optind starts at 1), answers --help itself,
 * prints results to stdout and what is wrong to stderr.
 */
#ifndef KM_CLI_INTERNAL_H
#define KM_CLI_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/net/client.h"

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

/* This machine's counters: doctor.c */
int km_cli_doctor(int argc, char **argv);

/* Recorded runs to a model, and how good it is: eval.c */
int km_cli_train(int argc, char **argv);
int km_cli_eval(int argc, char **argv);
int km_cli_search(int argc, char **argv); /* search.c */

/* What other policies would have done: simulate.c */
int km_cli_simulate(int argc, char **argv);

/* Reports: report.c. Each returns an exit code. */
int km_cli_show(const struct km_buf *report); /* on standard output */
/* rc, missing: of making the page; missing->code says that it lacks plots. What is wrong is told.
 */
int km_cli_write_page(const char *path, int rc, const struct km_buf *page,
                      const struct km_err *missing);

/* A model file: model.c */
int km_cli_model(int argc, char **argv);

/* A running daemon: ask.c */
int km_cli_ask(int argc, char **argv);
int km_cli_top(int argc, char **argv);
int km_cli_why(int argc, char **argv); /* why.c */

/* What a daemon has decided: replay.c */
int km_cli_replay(int argc, char **argv);

#define KM_CLI_SERVER "http://127.0.0.1:9191" /* listen.address and listen.port as they come */

/* Asking it: remote.c. What goes wrong is told on stderr; each returns an exit code. */
struct km_cli_remote {
	struct km_client *client;
	struct km_buf base; /* URL without a slash at its end */
};
/* tls borrowed for the call, NULL = all of it NULL. */
int km_cli_remote_begin(struct km_cli_remote *r, const char *server,
                        const struct km_client_tls *tls);
void km_cli_remote_end(struct km_cli_remote *r); /* also after a _begin that failed */

/* Rows of getopt_long for a daemon behind TLS, and the usage text that goes with them. */
enum { KM_CLI_CA = 256, KM_CLI_CERT, KM_CLI_KEY, KM_CLI_SERVER_NAME };
#define KM_CLI_TLS_OPTIONS                                                                         \
	{ "ca", required_argument, NULL, KM_CLI_CA },                                              \
		{ "cert", required_argument, NULL, KM_CLI_CERT },                                  \
		{ "key", required_argument, NULL, KM_CLI_KEY },                                    \
	{                                                                                          \
		"server-name", required_argument, NULL, KM_CLI_SERVER_NAME                         \
	}
#define KM_CLI_TLS_USAGE                                                                           \
	"      --ca FILE, --cert FILE, --key FILE, --server-name NAME\n"                           \
	"                         with an https:// URL: whom to trust, who we are, and the name\n" \
	"                         in its certificate where the URL has another\n"
/* Takes such an option. returns whether it was one; arg is borrowed. */
bool km_cli_tls_option(struct km_client_tls *tls, int opt, const char *arg);

/* GET, or POST of a body (NULL = GET). The answer of a 200 goes to out. */
int km_cli_remote_fetch(struct km_cli_remote *r, const char *path, const struct km_buf *body,
                        struct km_buf *out);

/* Prints an error's text. returns KM_CLI_FAILED. */
struct km_err;
int km_cli_tell(const struct km_err *err);

/* What it answered, printed: ask_table.c. Each returns an exit code; rows may be sorted. */
struct km_client_table;
void km_cli_wanted_features(struct km_client_table *t); /* before /v1/nodes is read */
int km_cli_print_answers(struct km_client_table *t);
int km_cli_print_nodes(struct km_client_table *t);

/*
 * For a command's own options: prints `usage` to stdout (asked for) or to stderr. returns the exit
 * code that goes with it.
 */
int km_cli_usage(const char *usage, int asked);

/* ---- tables: table.c ---- */

struct km_cli_column {
	const char *title;
	bool right;     /* aligned to the right: numbers */
	bool optional;  /* left out where the terminal is too narrow, the rightmost first */
	unsigned least; /* then cut to this width; 0 = never cut */
};

struct km_cli_table {
	const struct km_cli_column *column; /* [columns], borrowed */
	size_t columns;
	struct km_buf text; /* cells, each with its NUL */
	size_t *cell;       /* [cells], where each begins: row by row */
	size_t cells;
	size_t cap;
};

void km_cli_table_init(struct km_cli_table *t, const struct km_cli_column *column, size_t columns);
void km_cli_table_fini(struct km_cli_table *t);

/* Adds the next cell, row by row; copied. */
void km_cli_table_cell(struct km_cli_table *t, const char *text);

/* Prints titles and whole rows, at most `limit` columns wide if that can be; 0 = as wide as they
 * are. returns 0, or -1 when memory ran out. */
int km_cli_table_print(const struct km_cli_table *t, FILE *to, unsigned limit);

/* A text from anywhere, what could steer a terminal as '?'. */
void km_cli_put_text(FILE *to, const char *text);

/* Columns of the terminal on standard output; 0 when it is none. */
unsigned km_cli_terminal_width(void);

#endif
