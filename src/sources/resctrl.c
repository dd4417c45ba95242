/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resctrl: L3 occupancy and the traffic behind L3, read only. A resource group's files say what its
 * own tasks and its monitoring groups did, so the host is the sum over the groups, the root among
 * them, and over the L3 domains. Groups come and go; a sum that lacks one is not known.
 */
#include "resctrl.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counter.h"
#include "sources_internal.h"
#include "sysdir.h"

#define BIT(n)        (UINT32_C(1) << (n))

#define DOMAIN_PREFIX "mon_L3_"
/* 64 resource groups on a host of 16 L3 domains; beyond it the sums are not known. */
#define DOMAINS_MAX 1024
/* No memory system moves more: as in core/sample.c. */
#define BYTES_PER_S_MAX 1e13

enum { OCCUPANCY, TOTAL, LOCAL, FILES };

static const struct {
	const char *name;
	enum km_host_count count;
	bool level;
} files[FILES] = {
	[OCCUPANCY] = { "llc_occupancy", KM_HOST_L3_OCCUPANCY_BYTES, true },
	[TOTAL] = { "mbm_total_bytes", KM_HOST_MBM_TOTAL_BYTES, false },
	[LOCAL] = { "mbm_local_bytes", KM_HOST_MBM_LOCAL_BYTES, false },
};

/* One L3 of one resource group. */
struct domain {
	char *path;
	uint64_t last[FILES];
	bool known[FILES]; /* last[] is of the read before */
	bool seen;         /* in this read */
};

struct resctrl {
	struct km_source base;
	char *root;
	uint32_t offered;      /* bit per file */
	struct domain *domain; /* [domain_count] */
	size_t domain_count, domain_cap;
	size_t next;  /* where the next directory is likely to be */
	bool crowded; /* more domains than DOMAINS_MAX */
	bool started;
	int64_t last_ns;
	struct km_sample_space space;
	struct km_source_stats stats;
};

/* Directories come in the same order each time: the next one is tried first. */
static struct domain *find_domain(struct resctrl *r, const char *path)
{
	for (size_t i = 0; i < r->domain_count; i++) {
		size_t at = (r->next + i) % r->domain_count;

		if (strcmp(r->domain[at].path, path) == 0) {
			r->next = at + 1;
			return &r->domain[at];
		}
	}
	return NULL;
}

/* returns 0 or -ENOMEM. */
static int see_domain(struct resctrl *r, const char *path)
{
	struct domain *d = find_domain(r, path);

	if (d != NULL) {
		d->seen = true;
		return 0;
	}
	if (r->domain_count == DOMAINS_MAX) {
		r->crowded = true;
		return 0;
	}
	if (r->domain_count == r->domain_cap) {
		size_t cap = r->domain_cap > 0 ? 2 * r->domain_cap : 8;
		struct domain *grown = reallocarray(r->domain, cap, sizeof(*grown));

		if (grown == NULL) {
			return -ENOMEM;
		}
		r->domain = grown;
		r->domain_cap = cap;
	}
	d = &r->domain[r->domain_count];
	memset(d, 0, sizeof(*d));
	d->path = strdup(path);
	if (d->path == NULL) {
		return -ENOMEM;
	}
	d->seen = true;
	r->domain_count++;
	return 0;
}

struct group_scan {
	struct resctrl *r;
	const char *dir; /* of the group */
	int domains;
};

static int on_domain(void *ctx, const char *name)
{
	struct group_scan *g = ctx;
	char path[PATH_MAX];

	if (strncmp(name, DOMAIN_PREFIX, strlen(DOMAIN_PREFIX)) != 0) {
		return 0;
	}
	g->domains++;
	if (km_sysdir_path(path, sizeof(path), "%s/mon_data/%s", g->dir, name) != 0) {
		return -ENAMETOOLONG;
	}
	return see_domain(g->r, path);
}

/* The L3 domains below DIR/mon_data. returns how many, or a negative errno. */
static int scan_group(struct resctrl *r, const char *dir)
{
	struct group_scan g = { .r = r, .dir = dir };
	char path[PATH_MAX];
	int ret = km_sysdir_path(path, sizeof(path), "%s/mon_data", dir);

	if (ret == 0) {
		ret = km_sysdir_each(path, on_domain, &g);
	}
	return ret != 0 ? ret : g.domains;
}

static int on_group(void *ctx, const char *name)
{
	static const char *const no_groups[] = { "info", "mon_data", "mon_groups" };
	struct resctrl *r = ctx;
	char path[PATH_MAX];
	int below;

	for (size_t i = 0; i < KM_ARRAY_LEN(no_groups); i++) {
		if (strcmp(name, no_groups[i]) == 0) {
			return 0;
		}
	}
	if (km_sysdir_path(path, sizeof(path), "%s/%s", r->root, name) != 0) {
		return -ENAMETOOLONG;
	}
	below = scan_group(r, path);
	/* a file, or removed under our eyes */
	if (below < 0 && below != -ENOENT && below != -ENOTDIR && below != -ENODEV) {
		return below;
	}
	return 0;
}

/* All groups. returns the number of domains of the root group, or a negative errno. */
static int scan(struct resctrl *r)
{
	int found;
	int ret;

	r->crowded = false;
	for (size_t i = 0; i < r->domain_count; i++) {
		r->domain[i].seen = false;
	}
	found = scan_group(r, r->root);
	if (found <= 0) {
		return found;
	}
	ret = km_sysdir_each(r->root, on_group, r);
	return ret != 0 ? ret : found;
}

/* returns 0; -ENODATA, -EIO, -EBADMSG as the parser; another negative errno of the file. */
static int read_value(const struct domain *d, const char *file, uint64_t *out)
{
	char path[PATH_MAX];
	char text[64];
	int len;

	if (km_sysdir_path(path, sizeof(path), "%s/%s", d->path, file) != 0) {
		return -ENAMETOOLONG;
	}
	len = km_sysdir_value(path, text, sizeof(text));
	if (len < 0) {
		return len == -EFBIG ? -EBADMSG : len;
	}
	return km_resctrl_parse(text, (size_t)len, out);
}

static enum km_source_fault fault_of(int code)
{
	switch (code) {
	case -ENODATA:
	case -EIO:
	case -EACCES:
	case -EMFILE:
	case -ENFILE:
		return KM_FAULT_UNAVAILABLE;
	case -ENOENT:
	case -ENODEV:
		return KM_FAULT_VANISHED;
	default:
		return KM_FAULT_GARBLED;
	}
}

/* One file of one domain: adds to *sum, which becomes NaN when the value is not known. */
static void add_value(struct resctrl *r, struct domain *d, int file, double elapsed_s, double *sum)
{
	uint64_t before = d->last[file];
	bool had = d->known[file];
	uint64_t delta = 0;
	int ret = read_value(d, files[file].name, &d->last[file]);

	d->known[file] = ret == 0;
	if (ret != 0) {
		r->stats.fault[fault_of(ret)]++;
		*sum = NAN;
		return;
	}
	if (files[file].level) {
		*sum += (double)d->last[file];
		return;
	}
	if (!had) { /* new, or unreadable last time: what it counted before is not of this tick */
		*sum = NAN;
		return;
	}
	if (km_counter_delta(before, d->last[file], 64, BYTES_PER_S_MAX * elapsed_s, &delta) != 0) {
		r->stats.fault[KM_FAULT_BACKWARDS]++;
		*sum = NAN;
		return;
	}
	*sum += (double)delta;
}

/* A group that is gone took its last bytes with it. returns whether there was one. */
static bool drop_unseen(struct resctrl *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->domain_count; i++) {
		if (r->domain[i].seen) {
			r->domain[kept++] = r->domain[i];
		} else {
			free(r->domain[i].path);
			r->stats.fault[KM_FAULT_VANISHED]++;
		}
	}
	if (kept == r->domain_count) {
		return false;
	}
	r->domain_count = kept;
	return true;
}

static int resctrl_read(struct km_source *base, int64_t now_ns, km_sample_fn *emit, void *ctx,
                        struct km_err *err)
{
	struct resctrl *r = (struct resctrl *)base;
	double elapsed_s = (double)(now_ns - r->last_ns) * 1e-9;
	bool known = false;
	bool lost;
	int ret = scan(r);

	if (ret <= 0) {
		return km_err_errno(err, ret < 0 ? -ret : ENOENT,
		                    "%s/mon_data: no L3 domain any more", r->root);
	}
	lost = drop_unseen(r);
	if (km_sample_space_reset(&r->space, 0) != 0) {
		return km_err_set(err, ENOMEM, "resctrl: out of memory");
	}
	for (int f = 0; f < FILES; f++) {
		double sum = (lost && !files[f].level) || r->crowded ? NAN : 0;

		if ((r->offered & BIT(f)) == 0) {
			continue;
		}
		for (size_t i = 0; i < r->domain_count; i++) {
			add_value(r, &r->domain[i], f, elapsed_s, &sum);
		}
		r->space.sample.host[files[f].count] = sum;
		known = known || !isnan(sum);
	}
	(void)snprintf(r->stats.note, sizeof(r->stats.note), "%zu L3 domains of resource groups%s",
	               r->domain_count, r->crowded ? ", too many" : "");
	r->space.sample.start_ns = r->last_ns;
	r->space.sample.end_ns = now_ns;
	if (r->started && known && now_ns > r->last_ns) {
		emit(ctx, &r->space.sample);
		r->stats.rows++;
	}
	r->started = true;
	r->last_ns = now_ns;
	return KM_SOURCE_LIVE;
}

static void resctrl_close(struct km_source *base)
{
	struct resctrl *r = (struct resctrl *)base;

	for (size_t i = 0; i < r->domain_count; i++) {
		free(r->domain[i].path);
	}
	free(r->domain);
	km_sample_space_fini(&r->space);
	free(r->root);
	free(r);
}

static void resctrl_stats(const struct km_source *base, struct km_source_stats *out)
{
	*out = ((const struct resctrl *)base)->stats;
}

/* Why there is no mon_data. */
static int absent(const char *root, int code, struct km_err *err)
{
	char path[PATH_MAX];

	if (code != ENOENT) {
		return km_err_errno(err, code, "%s/mon_data", root);
	}
	if (km_sysdir_path(path, sizeof(path), "%s/schemata", root) == 0 &&
	    access(path, F_OK) == 0) {
		return km_err_set(err, ENOTSUP,
		                  "%s is mounted, but has no mon_data: no L3 monitoring (RDT) here",
		                  root);
	}
	if (access(root, F_OK) != 0) {
		return km_err_set(err, ENOENT,
		                  "%s: not there; want a kernel with resctrl and a CPU with RDT "
		                  "(cqm_llc in cpuinfo)",
		                  root);
	}
	return km_err_set(err, ENOENT, "%s: not mounted; want mount -t resctrl resctrl %s", root,
	                  root);
}

static int create(const struct km_source_args *args, struct resctrl **out, struct km_err *err)
{
	const char *root = args->live->resctrl;
	struct resctrl *r = calloc(1, sizeof(*r));
	bool denied = false;
	int ret;

	if (r == NULL) {
		return km_err_set(err, ENOMEM, "resctrl: out of memory");
	}
	r->last_ns = args->now_ns;
	r->root = strdup(root);
	ret = r->root != NULL ? scan(r) : -ENOMEM;
	if (ret < 0) {
		ret = absent(root, -ret, err);
		goto fail;
	}
	for (size_t i = 0; i < r->domain_count; i++) {
		for (int f = 0; f < FILES; f++) {
			uint64_t value;

			/* "Unavailable" now may be a number later; no such file stays that way */
			ret = read_value(&r->domain[i], files[f].name, &value);
			denied = denied || ret == -EACCES;
			if (ret != -ENOENT && ret != -EACCES) {
				r->offered |= BIT(f);
			}
		}
	}
	if (r->offered == 0) {
		ret = denied ? km_err_set(err, EACCES, "%s/mon_data: files may not be read", root)
		             : km_err_set(err, ENOTSUP,
		                          "%s/mon_data: no L3 domain with llc_occupancy, "
		                          "mbm_total_bytes or mbm_local_bytes",
		                          root);
		goto fail;
	}
	*out = r;
	return 0;
fail:
	resctrl_close(&r->base);
	return ret;
}

static int resctrl_open(const struct km_source_args *args, struct km_source **out,
                        struct km_err *err)
{
	struct resctrl *r = NULL;
	int ret = create(args, &r, err);

	*out = r != NULL ? &r->base : NULL;
	return ret;
}

static int resctrl_probe(const struct km_source_args *args, struct km_source_offer *out,
                         struct km_err *err)
{
	struct resctrl *r = NULL;
	int ret = create(args, &r, err);

	if (r == NULL) {
		return ret;
	}
	for (int f = 0; f < FILES; f++) {
		if ((r->offered & BIT(f)) != 0) {
			out->host |= BIT(files[f].count);
		}
	}
	(void)snprintf(out->note, sizeof(out->note), "%zu L3 domains of resource groups",
	               r->domain_count);
	resctrl_close(&r->base);
	return 0;
}

const struct km_source_ops km_source_resctrl = {
	.name = "resctrl",
	.help = "L3 occupancy and memory traffic by RDT, from the resctrl file system",
	.live = true,
	.probe = resctrl_probe,
	.open = resctrl_open,
	.read = resctrl_read,
	.close = resctrl_close,
	.stats = resctrl_stats,
};
