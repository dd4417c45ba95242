/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla check` and `kubemarla config`: the configuration seen from outside the daemon. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "km/base/buf.h"
#include "km/config/config.h"
#include "km/config/policy_file.h"
#include "km/model/model.h"

#include "cli_internal.h"

static const char check_usage[] =
	"check [-c FILE]\n\n"
	"Validates FILE (without one: the defaults) and says what kubemarlad would run.\n"
	"Exit code 0: valid; 1: valid, but its model file is refused; 2: not valid.\n";

static const char config_usage[] =
	"config [--man]\n\n"
	"Prints every option: default, range, meaning, and whether a reload applies it.\n"
	"--man prints the rows of kubemarla.yaml(5).\n";

static void print_nodes(const struct km_settings *s)
{
	struct km_buf cpus;

	km_buf_init(&cpus);
	for (size_t i = 0; i < s->node_count; i++) {
		km_buf_clear(&cpus);
		if (s->node[i].cpus_given)
			km_cpuset_format(&s->node[i].cpus, &cpus);
		else
			km_buf_str(&cpus, "all of its host");
		printf("node      %s  cpus %s\n", s->node[i].name, km_buf_cstr(&cpus));
	}
	if (s->node_count == 0)
		printf("node      none\n");
	km_buf_fini(&cpus);
}

static void print_sources(const struct km_settings *s)
{
	if (s->collect.auto_sources)
		printf("source    auto\n");
	for (size_t i = 0; i < s->collect.source_count; i++) {
		const struct km_source_settings *src = &s->collect.source[i];

		printf("source    %s", src->kind);
		if (src->replay.file != NULL) {
			printf("  %s  speed %g%s  for", src->replay.file, src->replay.speed,
			       src->replay.loop ? " looping" : "");
		}
		for (size_t n = 0; n < src->replay.node_count; n++)
			printf(" %s", src->replay.node[n]);
		printf("\n");
	}
}

/* A file that is not there is no mistake: answers are neutral then. */
static int print_model(const struct km_settings *s)
{
	struct km_model_info info;
	struct km_model *model;
	struct km_err err = { .code = 0 };
	int rc;

	if (s->model_path[0] == '\0') {
		printf("model     none: answers will be neutral\n");
		return KM_COMMAND_OK;
	}
	km_model_thread_init();
	rc = km_model_open(s->model_path, &model, &err);
	if (rc == -ENOENT) {
		printf("model     %s is absent: answers will be neutral\n", s->model_path);
		return KM_COMMAND_OK;
	}
	if (rc != 0) {
		printf("model     %s is refused: answers will be neutral\n", s->model_path);
		fprintf(stderr, "kubemarla: %s\n", err.text);
		return KM_COMMAND_FAILED;
	}
	km_model_info(model, &info);
	printf("model     %s  %s  %016" PRIx64 "  %u features, tier %s\n", s->model_path, info.name,
	       info.hash, km_model_schema(model)->count,
	       km_tier_name(km_model_schema(model)->tier));
	km_model_unref(model);
	return KM_COMMAND_OK;
}

/* Two that say the same are no mistake, but nobody means it. */
static int print_policies(const struct km_settings *s)
{
	const char *path = s->decide.policies_path;
	struct km_err err = { .code = 0 };
	struct km_policies *p;
	size_t pair[1][2];
	size_t dead;

	if (path[0] == '\0')
		return KM_COMMAND_OK;
	if (km_policy_file_load(path, s->decide.trusted_namespaces, &p, &err) != 0) {
		printf("policies  %s is refused: the daemon will not start\n", path);
		fprintf(stderr, "kubemarla: %s\n", err.text);
		return KM_COMMAND_FAILED;
	}
	dead = km_policies_conflicts(p, pair, 1);
	printf("policies  %s  %zu", path, km_policies_count(p));
	if (dead > 0)
		printf(", %zu of them never hold: %s selects what %s does", dead,
		       km_policies_at(p, pair[0][1])->name, km_policies_at(p, pair[0][0])->name);
	putchar('\n');
	km_policies_unref(p);
	return KM_COMMAND_OK;
}

static void print_roles(const struct km_settings *s)
{
	printf("roles    %s%s%s\n", s->roles & KM_ROLE_AGENT ? " agent" : "",
	       s->roles & KM_ROLE_EXTENDER ? " extender" : "",
	       s->roles & KM_ROLE_CONTROLLER ? " controller (nothing to do yet)" : "");
	printf("listen    %s port %u\n", s->listen.address, s->listen.port);
	if (s->observe.address[0] != '\0')
		printf("observe   %s port %u\n", s->observe.address, s->observe.port);
}

int km_cli_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct km_settings s = { .roles = 0 };
	struct km_err err = { .code = 0 };
	const char *path = NULL;
	int opt;
	int rc;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (opt != 'c')
			return km_command_usage(check_usage, opt == 'h');
		path = optarg;
	}
	if (path == NULL && optind < argc)
		path = argv[optind++]; /* `kubemarla check FILE` is what one types */
	if (optind < argc)
		return km_command_usage(check_usage, 0);
	rc = path != NULL ? km_config_load(path, &s, &err) : km_config_defaults(&s);
	if (rc != 0) {
		fprintf(stderr, "kubemarla: %s\n", err.code != 0 ? err.text : "out of memory");
		return KM_COMMAND_USAGE;
	}
	printf("%s: valid\n", path != NULL ? path : "defaults");
	print_roles(&s);
	print_nodes(&s);
	print_sources(&s);
	rc = print_policies(&s);
	if (print_model(&s) != KM_COMMAND_OK)
		rc = KM_COMMAND_FAILED;
	km_settings_fini(&s);
	return rc;
}

int km_cli_config(int argc, char **argv)
{
	static const struct option options[] = {
		{ "man", no_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct km_buf out;
	bool man = false;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): the tool has one thread */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt != 'm')
			return km_command_usage(config_usage, opt == 'h');
		man = true;
	}
	if (optind < argc)
		return km_command_usage(config_usage, 0);
	km_buf_init(&out);
	if (man)
		km_config_describe_mdoc(&out);
	else
		km_config_describe_text(&out);
	fwrite(out.data, 1, out.len, stdout);
	opt = km_buf_ok(&out) ? KM_COMMAND_OK : KM_COMMAND_FAILED;
	km_buf_fini(&out);
	return opt;
}
