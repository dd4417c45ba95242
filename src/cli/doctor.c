/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `kubemarla doctor`: what stands in the way, on this machine, in a scheduler's configuration, in a
 * cluster. Reading only: nothing is changed, but that the API server is asked about rights.
 */
#include "doctor.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"
#include "km/config/config.h"

#define CONFIG_MAX_BYTES ((size_t)1 << 20)

static const char usage[] =
	"doctor [--node] [-c FILE] [--json]\n"
	"       doctor --scheduler-config FILE [--extender URL] [-c FILE] [--json]\n"
	"       doctor --cluster [--kubeconfig FILE] [--context NAME] [-n NAMESPACE] [--json]\n"
	"\n"
	"Says what stands in the way, what was seen, what is wanted, how to mend it.\n"
	"Of this machine: each source of counters with what it gives or why it is absent.\n"
	"Of a KubeSchedulerConfiguration, or a live cluster: what makes our vote inaudible or\n"
	"wrong.  The exit code is 1 when there is an error or a warning.\n"
	"\n"
	"  -c, --config FILE      the daemon's configuration: roots, addresses, nodes, TLS\n"
	"      --node             this machine; so without the other two\n"
	"      --scheduler-config FILE\n"
	"                         a KubeSchedulerConfiguration\n"
	"      --extender URL     urlPrefix of the extender that is kubemarlad\n"
	"      --cluster          the installation in a cluster: rights, CRD, scheduler, agents\n"
	"      --kubeconfig FILE  how to reach it ($KUBECONFIG, ~/.kube/config)\n"
	"      --context NAME     of the kubeconfig\n"
	"  -n, --namespace NS     where KubeMarla is installed (kubemarla-system)\n"
	"      --json             for programs\n";

struct question {
	const char *config;
	const char *scheduler_config;
	const char *extender;
	bool node;
	bool cluster;
	bool json;
	struct km_kubernetes_settings where; /* borrows from argv */
	char none[1];
	char preset[sizeof("kubemarla-system")];
};

/* returns false when all is said, with the exit code. */
static bool parse(int argc, char **argv, struct question *q, int *code)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "node", no_argument, NULL, 'N' },
		{ "scheduler-config", required_argument, NULL, 's' },
		{ "extender", required_argument, NULL, 'e' },
		{ "cluster", no_argument, NULL, 'C' },
		{ "kubeconfig", required_argument, NULL, 'k' },
		{ "context", required_argument, NULL, 'x' },
		{ "namespace", required_argument, NULL, 'n' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const struct {
		int letter;
		const char **text;
	} texts[] = {
		{ 'c', &q->config },
		{ 's', &q->scheduler_config },
		{ 'e', &q->extender },
	};
	const struct {
		int letter;
		char **text;
	} places[] = {
		{ 'k', &q->where.kubeconfig },
		{ 'x', &q->where.context },
		{ 'n', &q->where.namespace },
	};
	const struct {
		int letter;
		bool *flag;
	} flags[] = { { 'N', &q->node }, { 'C', &q->cluster }, { 'j', &q->json } };
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "c:n:h", options, NULL)) != -1) {
		if (opt == 'h' || opt == '?')
			break;
		for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
			if (opt == texts[i].letter)
				*texts[i].text = optarg;
		}
		for (size_t i = 0; i < KM_ARRAY_LEN(places); i++) {
			if (opt == places[i].letter)
				*places[i].text = optarg;
		}
		for (size_t i = 0; i < KM_ARRAY_LEN(flags); i++) {
			if (opt == flags[i].letter)
				*flags[i].flag = true;
		}
	}
	if (opt == -1 && optind == argc &&
	    (!q->node || (!q->cluster && q->scheduler_config == NULL)))
		return true;
	*code = km_command_usage(usage, opt == 'h');
	return false;
}

/* returns KM_COMMAND_OK or KM_COMMAND_USAGE, which was told. */
static int look_at_scheduler(const struct question *q, struct findings *f)
{
	struct km_settings settings = { .roles = 0 };
	struct km_err err = { .code = 0 };
	struct doctor_seen seen;
	struct km_buf text;
	int rc = 0;

	km_buf_init(&text);
	if (q->config != NULL)
		rc = km_config_load(q->config, &settings, &err);
	if (rc == 0)
		rc = km_file_read(q->scheduler_config, CONFIG_MAX_BYTES, &text, &err);
	if (rc == 0) {
		const struct doctor_scheduler in = {
			.name = q->scheduler_config,
			.text = text.data != NULL ? text.data : "",
			.len = text.len,
			.server = q->extender,
			.settings = q->config != NULL ? &settings : NULL,
		};

		doctor_scheduler(&in, f, &seen);
	} else {
		fprintf(stderr, "kubemarla: %s\n", err.text);
	}
	km_buf_fini(&text);
	km_settings_fini(&settings);
	return rc == 0 ? KM_COMMAND_OK : KM_COMMAND_USAGE;
}

int km_cli_doctor(int argc, char **argv)
{
	struct question q = { .preset = "kubemarla-system" };
	struct findings f;
	int rc = KM_COMMAND_OK;

	q.where = (struct km_kubernetes_settings){ .kubeconfig = q.none,
		                                   .context = q.none,
		                                   .namespace = q.preset };
	if (!parse(argc, argv, &q, &rc))
		return rc;
	if (!q.cluster && q.scheduler_config == NULL)
		return doctor_node(q.config, q.json);
	findings_init(&f);
	if (q.scheduler_config != NULL)
		rc = look_at_scheduler(&q, &f);
	if (rc == KM_COMMAND_OK && q.cluster)
		doctor_cluster(&(struct doctor_cluster){ &q.where, q.extender }, &f);
	if (rc == KM_COMMAND_OK)
		rc = findings_print(&f, q.json);
	findings_fini(&f);
	return rc;
}
