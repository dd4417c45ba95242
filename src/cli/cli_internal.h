/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the tool: a subcommand is a row in the table of main.c and one function in a file of its
 * own, as km/command/command.h wants them. */
#ifndef KM_CLI_INTERNAL_H
#define KM_CLI_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/command/command.h"
#include "km/command/table.h"
#include "km/net/client.h"

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

/* Prints an error's text. returns KM_COMMAND_FAILED. */
struct km_err;
int km_cli_tell(const struct km_err *err);

/* What it answered, printed: ask_table.c. Each returns an exit code; rows may be sorted. */
struct km_client_table;
void km_cli_wanted_features(struct km_client_table *t); /* before /v1/nodes is read */
int km_cli_print_answers(struct km_client_table *t);
int km_cli_print_nodes(struct km_client_table *t);

#endif
