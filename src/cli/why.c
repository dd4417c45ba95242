/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla why`: the newest decision about a pod, out of a daemon's ring, and what speaks for and
 * against its nodes by the newest counters. Reading only; why_text.c prints it.
 */
#include "why.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/err.h"
#include "km/base/num.h"
#include "km/config/scheduler_config.h"
#include "km/core/vote.h"

static const char usage[] =
	"why POD [-n NAMESPACE] [-s URL] [--weight N | --scheduler-config FILE] [--json]\n\n"
	"Prints the newest decision about a pod that a running kubemarlad remembers: why there,\n"
	"why not the others.  POD may be NAMESPACE/POD.\n\n"
	"  -n, --namespace NS     of the pod; without it the newest of that name\n"
	"  -s, --server URL       the daemon (" KM_CLI_SERVER ")\n"
	"      --weight N         of the extender at the scheduler, for the share of the vote\n"
	"      --scheduler-config FILE\n"
	"                         the same, and the plugins', from a KubeSchedulerConfiguration\n"
	"      --json             print the answers as they came: an object of decisions and\n"
	"                         explain\n" KM_CLI_TLS_USAGE "\n"
	"Scores and slowdowns are those of the decision.  What speaks for and against a node is\n"
	"computed now, by the newest counters.\n";

struct question {
	const char *pod;
	const char *ns; /* NULL = any */
	char *split;    /* where both come from, when they came as one */
	const char *server;
	const char *scheduler_config; /* NULL = none */
	struct km_scheduler_votes votes;
	bool votes_given;
	bool json;
	struct km_client_tls tls;
	struct km_cli_remote remote;
};

static int parse_weight(const char *text, struct question *q)
{
	int64_t value = 0;

	if (km_num_int(text, strlen(text), &value) != 0 || value < 1 ||
	    value > KM_VOTE_WEIGHT_MAX) {
		fprintf(stderr, "kubemarla: --weight: saw \"%.40s\", want 1 to %d\n", text,
		        KM_VOTE_WEIGHT_MAX);
		return KM_COMMAND_USAGE;
	}
	q->votes.weight = (double)value;
	q->votes_given = true;
	return KM_COMMAND_OK;
}

/* "shop/web-1" is what kubectl prints; a name has no slash. */
static int take_pod(const char *text, struct question *q)
{
	char *slash;

	q->pod = text;
	if (strchr(text, '/') == NULL)
		return KM_COMMAND_OK;
	q->split = strdup(text);
	if (q->split == NULL) {
		fprintf(stderr, "kubemarla: out of memory\n");
		return KM_COMMAND_FAILED;
	}
	slash = strchr(q->split, '/');
	*slash = '\0';
	if (q->ns == NULL)
		q->ns = q->split;
	q->pod = slash + 1;
	return KM_COMMAND_OK;
}

/* returns KM_COMMAND_OK, or -1 when the command is over with *code. */
static int parse(int argc, char **argv, struct question *q, int *code)
{
	static const struct option options[] = {
		{ "namespace", required_argument, NULL, 'n' },
		{ "server", required_argument, NULL, 's' },
		{ "weight", required_argument, NULL, 'w' },
		{ "scheduler-config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		KM_CLI_TLS_OPTIONS,
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	*code = KM_COMMAND_OK;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "n:s:h", options, NULL)) != -1) {
		if (opt == 'n')
			q->ns = optarg;
		else if (opt == 's')
			q->server = optarg;
		else if (opt == 'w')
			*code = parse_weight(optarg, q);
		else if (opt == 'c')
			q->scheduler_config = optarg;
		else if (opt == 'j')
			q->json = true;
		else if (!km_cli_tls_option(&q->tls, opt, optarg))
			*code = km_command_usage(usage, opt == 'h');
		if (*code != KM_COMMAND_OK || opt == 'h' || opt == '?')
			return -1;
	}
	if (optind + 1 != argc || (q->votes_given && q->scheduler_config != NULL)) {
		*code = km_command_usage(usage, 0);
		return -1;
	}
	*code = take_pod(argv[optind], q);
	return *code == KM_COMMAND_OK ? 0 : -1;
}

static int read_votes(struct question *q)
{
	struct km_err err = { .code = 0 };

	if (!q->votes_given) {
		q->votes.weight = KM_VOTE_WEIGHT_ASSUMED;
	}
	q->votes.in_tree_weight = KM_VOTE_IN_TREE_WEIGHT;
	if (q->scheduler_config == NULL)
		return KM_COMMAND_OK;
	if (km_scheduler_votes_load(q->scheduler_config, q->server, &q->votes, &err) != 0) {
		fprintf(stderr, "kubemarla: %s\n", err.text);
		return KM_COMMAND_USAGE;
	}
	q->votes_given = true;
	return KM_COMMAND_OK;
}

static void put_escaped(struct km_buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (isalnum((unsigned char)*text) || strchr("-._~", *text) != NULL)
			km_buf_char(out, *text);
		else
			km_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
	}
}

/* The decisions of a pod, or of any (pod NULL). */
static int fetch_decisions(struct question *q, const char *pod, struct km_buf *out,
                           struct km_client_decisions *d)
{
	struct km_err err = { .code = 0 };
	struct km_buf path;
	int code;

	km_buf_init(&path);
	km_buf_printf(&path, "/v1/decisions?limit=%d", KM_CLIENT_DECISIONS_MAX);
	if (pod != NULL) {
		km_buf_str(&path, "&pod=");
		put_escaped(&path, pod);
		if (q->ns != NULL) {
			km_buf_str(&path, "&namespace=");
			put_escaped(&path, q->ns);
		}
	}
	code = km_cli_remote_fetch(&q->remote, km_buf_cstr(&path), NULL, out);
	if (code == KM_COMMAND_OK && km_client_read_decisions(d, out->data, out->len, &err) != 0)
		code = km_cli_tell(&err);
	km_buf_fini(&path);
	return code;
}

/* What else it knows: nobody remembers a pod's generated name. */
static int tell_unknown(struct question *q)
{
	struct km_client_decisions *all = malloc(sizeof(*all));
	struct km_buf answer;

	km_buf_init(&answer);
	fprintf(stderr, "kubemarla: no decision about pod %s%s%s is remembered\n",
	        q->ns != NULL ? q->ns : "", q->ns != NULL ? "/" : "", q->pod);
	if (all != NULL) {
		km_client_decisions_init(all);
		if (fetch_decisions(q, NULL, &answer, all) == KM_COMMAND_OK)
			why_print_known(all, stderr);
		km_client_decisions_fini(all);
	}
	free(all);
	km_buf_fini(&answer);
	return KM_COMMAND_FAILED;
}

/* By the newest counters. What does not come is told, and missing then. */
static void fetch_explanation(struct question *q, double id, struct km_buf *out,
                              struct km_client_table *now)
{
	struct km_err err = { .code = 0 };
	struct km_buf path;

	km_buf_init(&path);
	km_buf_printf(&path, "/v1/explain?id=%.0f&weight=%.0f", id, q->votes.weight);
	if (km_cli_remote_fetch(&q->remote, km_buf_cstr(&path), NULL, out) != KM_COMMAND_OK)
		km_buf_clear(out);
	else if (km_client_read_nodes(now, out->data, out->len, &err) != 0)
		(void)km_cli_tell(&err);
	km_buf_fini(&path);
}

static void print_body(const struct km_buf *body)
{
	size_t len = body->len;

	while (len > 0 && body->data[len - 1] == '\n')
		len--;
	if (len > 0)
		fwrite(body->data, 1, len, stdout);
	else
		printf("null");
}

static int show(struct question *q, struct km_client_decisions *d)
{
	struct why shown = { .decisions = d, .votes_assumed = !q->votes_given };
	struct km_client_table now;
	struct km_buf decisions;
	struct km_buf explanation;
	int code;

	km_buf_init(&decisions);
	km_buf_init(&explanation);
	km_client_table_init(&now);
	code = fetch_decisions(q, q->pod, &decisions, d);
	if (code == KM_COMMAND_OK && d->count == 0)
		code = tell_unknown(q);
	if (code == KM_COMMAND_OK) {
		fetch_explanation(q, d->decision[0].id, &explanation, &now);
		shown.now = &now;
		km_vote_count(q->votes.weight,
		              isfinite(d->decision[0].scale) ? (uint32_t)d->decision[0].scale : 10,
		              q->votes.in_tree_weight, &shown.vote);
	}
	if (code == KM_COMMAND_OK && q->json) {
		printf("{\"decisions\":");
		print_body(&decisions);
		printf(",\"explain\":");
		print_body(&explanation);
		printf("}\n");
	} else if (code == KM_COMMAND_OK) {
		code = why_print(&shown);
	}
	km_client_table_fini(&now);
	km_buf_fini(&explanation);
	km_buf_fini(&decisions);
	return code;
}

int km_cli_why(int argc, char **argv)
{
	struct question q = { .server = KM_CLI_SERVER };
	struct km_client_decisions *d = NULL;
	int code;

	if (parse(argc, argv, &q, &code) != 0)
		goto out;
	code = read_votes(&q);
	if (code != KM_COMMAND_OK)
		goto out;
	d = malloc(sizeof(*d));
	if (d == NULL) {
		fprintf(stderr, "kubemarla: out of memory\n");
		code = KM_COMMAND_FAILED;
		goto out;
	}
	km_client_decisions_init(d);
	code = km_cli_remote_begin(&q.remote, q.server, &q.tls);
	if (code == KM_COMMAND_OK)
		code = show(&q, d);
	km_cli_remote_end(&q.remote);
	km_client_decisions_fini(d);
out:
	free(d);
	free(q.split);
	return code;
}
