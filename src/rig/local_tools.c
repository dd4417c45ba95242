/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of others: where they are, which version, and what brings one that is missing. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "local.h"

#define ASK_NS      (10 * KM_NS_PER_S)
#define VERSION_MAX 65536

/* A program, where else than in PATH it may be, and how one gets it. */
struct tool {
	const char *name;
	const char *also[3];    /* "%s" = the directory of kubemarla-lab; "~" begins the cache */
	const char *version;    /* its option */
	const char *before;     /* the version stands behind this text */
	const char *how_to_get; /* behind "NAME is not installed: " */
};

static const struct tool nginx = {
	.name = "nginx",
	.also = { "/usr/sbin/nginx", "/usr/local/sbin/nginx" },
	.version = "-v",
	.before = "nginx version: ",
	.how_to_get = "apt-get install nginx, or set target.program",
};

static const struct tool generators[] = {
	[KM_PLAN_VEGETA] = {
		.name = "vegeta",
		.also = { "%s/lab/vegeta", "~/vegeta" },
		.version = "-version",
		.before = "Version: ",
		.how_to_get = "deploy/lab/vegeta.sh builds it (with Go), or set load.program, or "
		              "load.generator: wrk",
	},
	[KM_PLAN_WRK] = {
		.name = "wrk",
		.version = "-v",
		.before = "wrk ",
		.how_to_get = "apt-get install wrk, or set load.program",
	},
};

/* ~/.cache/kubemarla, or where XDG_CACHE_HOME has it; "" = nowhere. */
static void cache_dir(char *out, size_t size)
{
	const char *cache = getenv("XDG_CACHE_HOME"); /* NOLINT(concurrency-mt-unsafe) */
	const char *home = getenv("HOME");            /* NOLINT(concurrency-mt-unsafe) */

	out[0] = '\0';
	if (cache != NULL && cache[0] == '/')
		(void)snprintf(out, size, "%s/kubemarla", cache);
	else if (home != NULL && home[0] == '/')
		(void)snprintf(out, size, "%s/.cache/kubemarla", home);
}

/* Makes a place of struct tool a path. */
static void place_path(const char *place, const char *self, char *out, size_t size)
{
	char dir[PATH_MAX / 2];

	if (place[0] == '~') {
		cache_dir(dir, sizeof(dir));
		(void)snprintf(out, size, "%s%s", dir, place + 1);
	} else if (place[0] == '%') {
		const char *slash = strrchr(self, '/');

		(void)snprintf(out, size, "%.*s%s", slash != NULL ? (int)(slash - self) : 1,
		               slash != NULL ? self : ".", place + 2);
	} else {
		(void)snprintf(out, size, "%s", place);
	}
}

static int find(const struct tool *tool, const char *given, const char *self, char *out,
                size_t size, struct km_err *err)
{
	const bool usual = given == NULL || given[0] == '\0' || strcmp(given, tool->name) == 0;

	if (!usual)
		return km_child_find(given, out, size, err);
	if (km_child_find(tool->name, out, size, NULL) == 0)
		return 0;
	for (size_t i = 0; i < KM_ARRAY_LEN(tool->also) && tool->also[i] != NULL; i++) {
		place_path(tool->also[i], self, out, size);
		if (access(out, X_OK) == 0)
			return 0;
	}
	return km_err_set(err, ENOENT, "%s is not installed: %s", tool->name, tool->how_to_get);
}

/* A program that does not say its version is used as well: only the name is known then. */
static void ask_version(const struct tool *tool, const char *path, char *out, size_t size)
{
	const char *const argv[] = { path, tool->version, NULL };
	const struct km_child_spec spec = { .argv = argv, .max_out_bytes = VERSION_MAX };
	char words[KM_CHILD_WORDS_MAX + 1];
	struct km_child *c;
	const char *p;

	out[0] = '\0';
	if (km_child_start(&spec, &c, NULL) != 0)
		return;
	if (km_child_await(c, ASK_NS)) {
		/* nginx says it on stderr, the others on stdout; wrk fails doing so */
		p = strstr(km_buf_cstr(km_child_output(c)), tool->before);
		if (p == NULL)
			p = strstr(km_child_words(c, true, words), tool->before);
		if (p != NULL) {
			p += strlen(tool->before);
			(void)snprintf(out, size, "%.*s", (int)strcspn(p, " \n"), p);
		}
	}
	km_child_free(c);
}

int local_tools_generator(struct km_rig *rig, struct km_err *err)
{
	const struct km_plan_load *load = &rig->plan->load;
	const struct tool *generator = &generators[load->generator];
	struct local *l = rig->backend;
	int rc = find(generator, load->program, rig->self, l->generator, sizeof(l->generator), err);

	if (rc != 0)
		return rc;
	ask_version(generator, l->generator, l->generator_version, sizeof(l->generator_version));
	(void)snprintf(rig->facts.generator, sizeof(rig->facts.generator), "%s %s", generator->name,
	               l->generator_version);
	return 0;
}

int local_tools(struct km_rig *rig, struct km_err *err)
{
	struct local *l = rig->backend;
	int rc = find(&nginx, rig->plan->target.program, rig->self, l->target, sizeof(l->target),
	              err);

	if (rc != 0)
		return rc;
	ask_version(&nginx, l->target, rig->facts.target, sizeof(rig->facts.target));
	return local_tools_generator(rig, err);
}

bool local_realtime_allowed(void)
{
	/* tried on ourselves, and taken back at once */
	const struct sched_param turn = { .sched_priority = 1 };
	const struct sched_param none = { .sched_priority = 0 };

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &turn) != 0)
		return false;
	return sched_setscheduler(0, SCHED_OTHER, &none) == 0;
}
