/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla ask` and `kubemarla top`: a running daemon asked as kube-scheduler asks it, and shown
 * as people read it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/err.h"
#include "km/base/file.h"
#include "km/base/macros.h"
#include "km/net/client.h"
#include "km/wire/client_answers.h"

#include "cli_internal.h"

#define REQUEST_MAX ((size_t)256 * 1024 * 1024)

static const char ask_usage[] =
	"ask [-s URL] [-f FILE] [--json]\n\n"
	"Sends FILE, an ExtenderArgs as kube-scheduler sends it, to a running kubemarlad and\n"
	"prints the answers as a table, best node first.  Without -f: the same as `top`.\n\n"
	"  -s, --server URL   the daemon (" KM_CLI_SERVER ")\n"
	"  -f, --file FILE    the request; - is standard input\n"
	"      --json         print the answers as they came: an object of filter, prioritize\n"
	"                     and explain\n" KM_CLI_TLS_USAGE "\n"
	"SLOWDOWN is the predicted p99 latency there / alone, with its 90 % interval; SCORE is\n"
	"what /prioritize says, FILTER what /filter says.  MAIN REASON is the measured feature\n"
	"that moves the prediction most: its value, and the slowdown it adds.\n";

static const char top_usage[] =
	"top [-s URL] [--json]\n\n"
	"Prints all nodes that a running kubemarlad knows: how old their counters are, what they\n"
	"say, and the slowdown predicted for the default workload.\n\n"
	"  -s, --server URL   the daemon (" KM_CLI_SERVER ")\n"
	"      --json         print the answer of /v1/nodes as it came\n" KM_CLI_TLS_USAGE;

struct question {
	const char *server; /* as given */
	const char *file;   /* NULL = none given */
	bool json;
	struct km_client_tls tls;
	struct km_cli_remote remote;
};

/* ---- options -------------------------------------------------------------------------------- */

/* returns KM_COMMAND_OK, or -1 when the command is over with *code. */
static int parse(int argc, char **argv, const char *usage, bool with_file, struct question *q,
                 int *code)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 's' },
		{ "file", required_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		KM_CLI_TLS_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*q = (struct question){ .server = KM_CLI_SERVER };
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "s:f:h", options, NULL)) != -1) {
		if (opt == 's') {
			q->server = optarg;
		} else if (opt == 'f' && with_file) {
			q->file = optarg;
		} else if (opt == 'j') {
			q->json = true;
		} else if (!km_cli_tls_option(&q->tls, opt, optarg)) {
			*code = km_command_usage(usage, opt == 'h');
			return -1;
		}
	}
	if (optind < argc) {
		*code = km_command_usage(usage, 0);
		return -1;
	}
	return KM_COMMAND_OK;
}

/* ---- asking --------------------------------------------------------------------------------- */

static int read_stdin(struct km_buf *out, struct km_err *err)
{
	char chunk[65536];
	size_t got;

	while ((got = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
		if (got > REQUEST_MAX - out->len)
			return km_err_set(err, EFBIG, "standard input: over %zu bytes",
			                  REQUEST_MAX);
		km_buf_append(out, chunk, got);
	}
	if (ferror(stdin))
		return km_err_errno(err, errno, "standard input");
	return km_buf_ok(out) ? 0 : km_err_set(err, ENOMEM, "standard input: out of memory");
}

static int read_request(const char *file, struct km_buf *out)
{
	struct km_err err = { .code = 0 };
	int rc = strcmp(file, "-") == 0 ? read_stdin(out, &err)
	                                : km_file_read(file, REQUEST_MAX, out, &err);

	if (rc == 0)
		return KM_COMMAND_OK;
	fprintf(stderr, "kubemarla: %s\n", err.text);
	return KM_COMMAND_USAGE;
}

/* ---- the commands --------------------------------------------------------------------------- */

static int show_nodes(struct question *q)
{
	struct km_client_table t;
	struct km_err err = { .code = 0 };
	struct km_buf answer;
	int code;

	km_buf_init(&answer);
	km_client_table_init(&t);
	km_cli_wanted_features(&t);
	code = km_cli_remote_fetch(&q->remote, "/v1/nodes", NULL, &answer);
	if (code == KM_COMMAND_OK && km_client_read_nodes(&t, answer.data, answer.len, &err) != 0)
		code = km_cli_tell(&err);
	if (code == KM_COMMAND_OK && q->json)
		fwrite(answer.data, 1, answer.len, stdout);
	else if (code == KM_COMMAND_OK)
		code = km_cli_print_nodes(&t);
	km_client_table_fini(&t);
	km_buf_fini(&answer);
	return code;
}

typedef int read_answer(struct km_client_table *t, const char *body, size_t len,
                        struct km_err *err);

/* What is asked, in the order the scheduler does; each answer adds to the same table. */
static const struct {
	const char *path;
	const char *key; /* in --json */
	read_answer *read;
} questions[] = {
	{ "/filter", "filter", km_client_read_filter },
	{ "/prioritize", "prioritize", km_client_read_priorities },
	{ "/v1/explain", "explain", km_client_read_nodes },
};

/* All were read as JSON before. */
static void print_json(const struct km_buf *answer)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(questions); i++) {
		size_t len = answer[i].len;

		while (len > 0 && answer[i].data[len - 1] == '\n')
			len--;
		printf("%s\"%s\":", i == 0 ? "{" : ",", questions[i].key);
		fwrite(answer[i].data, 1, len, stdout);
	}
	printf("}\n");
}

static int show_answers(struct question *q)
{
	struct km_buf answer[KM_ARRAY_LEN(questions)];
	struct km_client_table t;
	struct km_err err = { .code = 0 };
	struct km_buf request;
	int code;

	km_buf_init(&request);
	for (size_t i = 0; i < KM_ARRAY_LEN(questions); i++)
		km_buf_init(&answer[i]);
	km_client_table_init(&t);
	code = read_request(q->file, &request);
	for (size_t i = 0; i < KM_ARRAY_LEN(questions) && code == KM_COMMAND_OK; i++) {
		code = km_cli_remote_fetch(&q->remote, questions[i].path, &request, &answer[i]);
		if (code == KM_COMMAND_OK &&
		    questions[i].read(&t, answer[i].data, answer[i].len, &err) != 0)
			code = km_cli_tell(&err);
	}
	if (code == KM_COMMAND_OK && q->json)
		print_json(answer);
	else if (code == KM_COMMAND_OK)
		code = km_cli_print_answers(&t);
	km_client_table_fini(&t);
	for (size_t i = 0; i < KM_ARRAY_LEN(questions); i++)
		km_buf_fini(&answer[i]);
	km_buf_fini(&request);
	return code;
}

static int run(int argc, char **argv, const char *usage, bool with_file)
{
	struct question q;
	int code = KM_COMMAND_OK;

	if (parse(argc, argv, usage, with_file, &q, &code) != 0)
		return code;
	code = km_cli_remote_begin(&q.remote, q.server, &q.tls);
	if (code == KM_COMMAND_OK)
		code = q.file != NULL ? show_answers(&q) : show_nodes(&q);
	km_cli_remote_end(&q.remote);
	return code;
}

int km_cli_ask(int argc, char **argv)
{
	return run(argc, argv, ask_usage, true);
}

int km_cli_top(int argc, char **argv)
{
	return run(argc, argv, top_usage, false);
}
