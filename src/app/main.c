/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubemarlad. Here: the command line, and what must be set before the first thread exists. Start
 * and stop order: serve.c.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "km/base/buf.h"
#include "km/base/log.h"
#include "km/config/config.h"

#include "app_internal.h"

static const char usage[] =
	"Usage: kubemarlad [-hnvV] [-c FILE] [-l ADDR:PORT]\n"
	"\n"
	"  -c, --config FILE       read the configuration from FILE\n"
	"  -h, --help              print this and every option of the configuration\n"
	"  -l, --listen ADDR:PORT  listen there; port 0 lets the kernel pick\n"
	"  -n, --check             check the configuration and exit\n"
	"  -v, --verbose           log at level debug\n"
	"  -V, --version           print the version and exit\n";

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ "listen", required_argument, NULL, 'l' },
	{ "check", no_argument, NULL, 'n' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static int print_help(void)
{
	struct km_buf options;

	km_buf_init(&options);
	km_config_describe_text(&options);
	printf("%s\nThe configuration, with its defaults (\"reload\": SIGHUP applies it):\n%s",
	       usage, km_buf_cstr(&options));
	km_buf_fini(&options);
	return APP_OK;
}

static int print_version(void)
{
	printf("kubemarlad %s (XGBoost %s)\n", KM_VERSION, km_model_library_version());
	return APP_OK;
}

/*
 * glibc's allocator is tuned for throughput of one process per machine; beside a scheduler what
 * counts is that memory goes back after a large request.
 */
static void tune_allocator(void)
{
	/* NOLINTBEGIN(concurrency-mt-unsafe): there is one thread yet */
	/* Each pool thread would keep an arena of its own; requests recycle their memory anyway. */
	(void)mallopt(M_ARENA_MAX, 2);
	/* Setting it stops glibc from raising it after the first large free: large bodies are
	 * mapped, and unmapped when they are done. */
	(void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	/* The top of the heap goes back to the kernel above this, not above twice the largest
	 * block ever freed. */
	(void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
	/* NOLINTEND(concurrency-mt-unsafe) */
}

int main(int argc, char **argv)
{
	struct app_options options = { .config_path = NULL };
	struct km_err err = { .code = 0 };
	struct km_settings *settings;
	struct km_policies *policies = NULL;
	struct km_tls *tls = NULL;
	bool check = false;
	int rc;
	int opt;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet */
	while ((opt = getopt_long(argc, argv, "c:hl:nvV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'c':
			options.config_path = optarg;
			break;
		case 'l':
			options.listen = optarg;
			break;
		case 'n':
			check = true;
			break;
		case 'v':
			km_log_set_level(KM_LOG_DEBUG);
			break;
		case 'h':
			return print_help();
		case 'V':
			return print_version();
		default:
			fputs(usage, stderr);
			return APP_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "kubemarlad: unexpected argument %.80s\n%s", argv[optind], usage);
		return APP_USAGE;
	}
	if (app_settings_load(&options, &settings, &err) != 0) {
		fprintf(stderr, "kubemarlad: %s\n", err.text);
		return APP_USAGE;
	}
	if (check) {
		rc = app_policies_load(settings, &policies, &err);
		if (rc == 0)
			rc = app_tls_open(settings, &tls, &err);
		if (rc != 0)
			fprintf(stderr, "kubemarlad: %s\n", err.text);
		else
			puts("configuration OK");
		km_tls_free(tls);
		km_policies_unref(policies);
		km_settings_fini(settings);
		free(settings);
		return rc == 0 ? APP_OK : APP_USAGE;
	}
	app_signals_block();
	tune_allocator();
	return app_serve(&options, settings);
}
