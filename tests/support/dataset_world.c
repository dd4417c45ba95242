/* SPDX-License-Identifier: Apache-2.0 */
/* A synthetic dataset folder: the plan, its tables and its features.yaml; see dataset_world.h. */
#include "support/dataset_world.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/base/file.h"
#include "km/base/hash.h"
#include "km/base/macros.h"
#include "km/base/rng.h"

#define FILE_MAX_BYTES (64 << 20)

void dataset_world_init(struct dataset_world *w)
{
	memset(w, 0, sizeof(*w));
	(void)snprintf(w->dir, sizeof(w->dir), "/tmp/km-dataset-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->paths = malloc(sizeof(*w->paths));
	assert_non_null(w->paths);
	km_arena_init(w->paths, 0);
	assert_int_equal(mkdir(dataset_world_path(w, "traces"), 0700), 0);
}

void dataset_world_fini(struct dataset_world *w)
{
	char command[sizeof(w->dir) + 16];

	(void)snprintf(command, sizeof(command), "rm -r %s", w->dir);
	assert_int_equal(system(command), 0);
	km_arena_fini(w->paths);
	free(w->paths);
	free(w->run);
	free(w->pair);
}

static void *grown(void *array, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return array;
	*cap = 2 * *cap + 16;
	array = reallocarray(array, *cap, size);
	assert_non_null(array);
	return array;
}

/* How much a mix hurts: what real runs look like, roughly (docs/COUNTERS.md names the data). */
static double harm(const struct dataset_run *r)
{
	double own = 0.25 * r->pods[0] + 0.45 * r->pods[1] + 0.25 * r->pods[2];
	double shared = 0.40 * r->pods[1] + 0.20 * r->pods[2];

	if (r->place == DATASET_NONE)
		return 0;
	return (r->place == DATASET_LOCAL ? own : shared) * (0.7 + 0.3 * r->rps / 1000);
}

struct dataset_run *dataset_world_run(struct dataset_world *w, const char *campaign,
                                      const char *mix, enum dataset_place place, int rps)
{
	static const char *const places[] = { "none", "local", "remote" };
	struct dataset_run *r;
	struct km_rng rng;

	w->run = grown(w->run, w->run_count, &w->run_cap, sizeof(*w->run));
	r = &w->run[w->run_count++];
	*r = (struct dataset_run){
		.place = (uint8_t)place,
		.target = 2,
		.here = 1,
		.on = { 0, 1 },
		.rps = rps,
		.own_baseline_ms = 0.15,
		.baseline_ms = 0.15,
		.p99_ms = NAN,
		.interval_s = DATASET_INTERVAL_S,
		.samples = DATASET_SAMPLES,
		.cpus = DATASET_CPUS,
		.seed = w->run_count,
	};
	for (int i = 0; i < 3; i++)
		r->pods[i] = (uint8_t)(mix[i] - '0');
	r->read_gb = 0.17 + 1.4 * r->pods[1] + 1.5 * r->pods[2] + 0.04 * rps / 1000;
	(void)snprintf(r->campaign, sizeof(r->campaign), "%s", campaign);
	(void)snprintf(r->id, sizeof(r->id), "%s__1replicas_c%c_l%c_m%c_%s_%drps", campaign, mix[0],
	               mix[1], mix[2], places[place], rps);
	(void)snprintf(r->trace, sizeof(r->trace), "traces/%s.csv%s", r->id,
	               w->run_count % 3 == 0 ? "" : ".gz");
	km_rng_init(&rng, km_hash64(r->id, strlen(r->id), 1));
	r->slowdown = (1 + harm(r)) * exp(0.03 * km_rng_normal(&rng));
	return r;
}

static struct dataset_pair *add_pair(struct dataset_world *w, size_t before, size_t after)
{
	const struct dataset_run *b = &w->run[before];
	const struct dataset_run *a = &w->run[after];
	struct dataset_pair *p;

	w->pair = grown(w->pair, w->pair_count, &w->pair_cap, sizeof(*w->pair));
	p = &w->pair[w->pair_count++];
	*p = (struct dataset_pair){
		.before = before,
		.after = after,
		.replicas = a->here,
		.rps = a->rps,
		.slowdown = a->slowdown,
		.weight = 1,
	};
	(void)snprintf(p->before_id, sizeof(p->before_id), "%s", b->id);
	(void)snprintf(p->family, sizeof(p->family), "%.*s", (int)strcspn(a->campaign, "_"),
	               a->campaign);
	return p;
}

struct dataset_pair *dataset_world_pair(struct dataset_world *w, size_t before, size_t after)
{
	struct dataset_pair *p = add_pair(w, before, after);

	p->before_replicas = w->run[before].here;
	p->before_rps = w->run[before].rps;
	(void)snprintf(p->candidate, sizeof(p->candidate), "%s",
	               w->run[before].target == 1 ? "0-2" : "3-5");
	return p;
}

struct dataset_pair *dataset_world_empty_pair(struct dataset_world *w, size_t before, size_t after)
{
	struct dataset_pair *p = add_pair(w, before, after);

	p->empty = true;
	(void)snprintf(p->candidate, sizeof(p->candidate), "%s",
	               w->run[before].target == 1 ? "3-5" : "0-2");
	return p;
}

void dataset_world_plan(struct dataset_world *w, unsigned campaigns)
{
	static const char *const names[] = { "Alpha_V01", "Beta_V01", "Gamma_V01",
		                             "Alpha_V02", "Beta_V02", "Gamma_V02" };
	static const char *const mixes[] = { "000", "100", "300", "020", "002", "101" };
	static const int loads[] = { 500, 1000, 2000 };
	size_t a_campaign = (2 * KM_ARRAY_LEN(mixes) - 1) * KM_ARRAY_LEN(loads);

	assert_true(campaigns <= KM_ARRAY_LEN(names));
	for (size_t c = 0; c < campaigns; c++) {
		for (size_t m = 0; m < KM_ARRAY_LEN(mixes); m++) {
			for (int p = m == 0 ? DATASET_NONE : DATASET_LOCAL;
			     p <= (m == 0 ? DATASET_NONE : DATASET_REMOTE); p++) {
				for (size_t l = 0; l < KM_ARRAY_LEN(loads); l++)
					(void)dataset_world_run(w, names[c], mixes[m],
					                        (enum dataset_place)p, loads[l]);
			}
		}
	}
	for (size_t i = 0; i < w->run_count; i++) {
		size_t in_campaign = i % a_campaign;
		size_t light = i - i % KM_ARRAY_LEN(loads);
		size_t elsewhere = (i + a_campaign) % w->run_count;

		if (i != light)
			(void)dataset_world_pair(w, light, i);
		/* what ran on the one node of another campaign is what an empty other node saw */
		if (campaigns > 1 && in_campaign % 2 == 0)
			(void)dataset_world_empty_pair(w, elsewhere, i);
	}
}

const char *dataset_world_path(const struct dataset_world *w, const char *name)
{
	char text[256];
	char *path;

	assert_true(snprintf(text, sizeof(text), "%s/%s", w->dir, name) < (int)sizeof(text));
	path = km_arena_strndup(w->paths, text, strlen(text));
	assert_non_null(path);
	return path;
}

void dataset_world_put(const struct dataset_world *w, const char *name, const void *bytes,
                       size_t len)
{
	struct km_err err = { .code = 0 };

	if (km_file_write_atomic(dataset_world_path(w, name), bytes, len, &err) != 0)
		fail_msg("%s", err.text);
}

void dataset_world_replace(const struct dataset_world *w, const char *name, const char *what,
                           const char *by)
{
	struct km_err err = { .code = 0 };
	struct km_buf old;
	struct km_buf now;
	const char *text;
	const char *at;

	km_buf_init(&old);
	km_buf_init(&now);
	if (km_file_read(dataset_world_path(w, name), FILE_MAX_BYTES, &old, &err) != 0)
		fail_msg("%s", err.text);
	text = km_buf_cstr(&old);
	at = strstr(text, what);
	if (at == NULL)
		fail_msg("no \"%s\" in %s", what, name);
	km_buf_append(&now, text, (size_t)(at - text));
	km_buf_str(&now, by);
	km_buf_str(&now, at + strlen(what));
	assert_true(km_buf_ok(&now));
	dataset_world_put(w, name, now.data, now.len);
	km_buf_fini(&now);
	km_buf_fini(&old);
}

/* ---- the tables ---- */

/* Fields with a comma behind each; the last one becomes the line's end. */
static void put_text(const struct dataset_world *w, struct km_buf *b, const char *text)
{
	km_buf_printf(b, w->quotes ? "\"%s\"," : "%s,", text);
}

static void put_number(const struct dataset_world *w, struct km_buf *b, double v, int decimals)
{
	char text[32] = "";

	if (isfinite(v))
		(void)snprintf(text, sizeof(text), "%.*f", decimals, v);
	put_text(w, b, text);
}

static void end_line(const struct dataset_world *w, struct km_buf *b)
{
	assert_true(km_buf_ok(b) && b->len > 0);
	b->len--;
	km_buf_str(b, w->crlf ? "\r\n" : "\n");
}

static void put_names(const struct dataset_world *w, struct km_buf *b, const char *names)
{
	char *copy = strdup(names);
	char *rest = copy;
	const char *name;

	assert_non_null(copy);
	if (w->bom)
		km_buf_str(b, "\xef\xbb\xbf");
	while ((name = strsep(&rest, ",")) != NULL)
		put_text(w, b, name);
	end_line(w, b);
	free(copy);
}

static const char *mix_text(const struct dataset_run *r)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "c%u_l%u_m%u", (unsigned)r->pods[0],
	               (unsigned)r->pods[1], (unsigned)r->pods[2]);
	return text;
}

static const char *place_text(const struct dataset_run *r)
{
	return r->place == DATASET_NONE ? "none" : r->place == DATASET_LOCAL ? "local" : "remote";
}

static void put_run(const struct dataset_world *w, const struct dataset_run *r, struct km_buf *b)
{
	int noisy = r->place == DATASET_LOCAL ? r->target : 3 - r->target;
	double p99_ms = isnan(r->p99_ms) ? r->slowdown * r->baseline_ms : r->p99_ms;

	put_text(w, b, r->id);
	put_text(w, b, r->campaign);
	put_number(w, b, 7, 0);
	put_text(w, b, "Synthetic");
	put_text(w, b, mix_text(r));
	for (int i = 0; i < 3; i++)
		put_number(w, b, r->pods[i], 0);
	put_text(w, b, r->place == DATASET_NONE ? "none" : noisy == 1 ? "node1" : "node2");
	put_text(w, b, r->target == 1 ? "node1" : "node2");
	put_text(w, b, r->target == 1 ? "0-2" : "3-5");
	put_text(w, b, r->target == 1 ? "3-5" : "0-2");
	put_text(w, b, place_text(r));
	put_number(w, b, r->here, 0);
	put_number(w, b, r->on[0], 0);
	put_number(w, b, r->on[1], 0);
	put_number(w, b, r->rps, 0);
	put_number(w, b, 0.083, 3);
	put_number(w, b, 0.1, 1);
	put_number(w, b, 0.11, 2);
	put_number(w, b, p99_ms, 6);
	put_number(w, b, 0.087, 3);
	put_number(w, b, 3.1, 1);
	put_number(w, b, r->rps, 3);
	put_number(w, b, 0, 0);
	put_number(w, b, r->baseline_ms, 6);
	put_number(w, b, 9, 0);
	put_text(w, b, "pooled-dev");
	put_number(w, b, r->own_baseline_ms, 6);
	put_number(w, b, r->slowdown, 6);
	put_number(w, b, 1 / r->slowdown, 6);
	put_number(w, b, r->place == DATASET_NONE && !isnan(r->slowdown) ? 1 : 1 / r->slowdown, 6);
	put_number(w, b, r->interval_s, 0);
	put_number(w, b, r->samples, 0);
	put_text(w, b, "2025-01-01T10:00:00.000");
	put_text(w, b, r->trace);
	end_line(w, b);
}

static void put_pair(const struct dataset_world *w, const struct dataset_pair *p, struct km_buf *b)
{
	const struct dataset_run *a = &w->run[p->after];

	put_text(w, b, p->empty ? "empty" : "lighter");
	put_text(w, b, p->augment ? "augment" : "score");
	put_text(w, b, p->before_id);
	put_text(w, b, strcmp(p->candidate, "0-2") == 0 ? "node1" : "node2");
	put_text(w, b, p->candidate);
	put_number(w, b, p->before_replicas, 0);
	put_number(w, b, p->before_rps, 0);
	put_text(w, b, a->id);
	put_text(w, b, a->campaign);
	put_text(w, b, p->family);
	put_text(w, b, mix_text(a));
	put_text(w, b, place_text(a));
	put_number(w, b, p->replicas, 0);
	put_number(w, b, p->rps, 0);
	put_number(w, b, p->slowdown * 0.15, 6);
	put_number(w, b, 0.15, 6);
	put_number(w, b, p->slowdown, 6);
	put_number(w, b, a->place == DATASET_NONE ? 1 : 1 / p->slowdown, 6);
	put_number(w, b, p->weight, 3);
	end_line(w, b);
}

void dataset_world_write(const struct dataset_world *w)
{
	struct km_buf b;

	km_buf_init(&b);
	put_names(w, &b,
	          "run_id,campaign,scenario_id,scenario_name,scenario,n_cpu,n_l3,n_membw,"
	          "interference_node,target_node,target_cores,other_cores,placement,"
	          "replicas_on_target,replicas_node1,replicas_node2,rps,p50_ms,p90_ms,p95_ms,"
	          "p99_ms,avg_ms,max_ms,throughput_rps,errors,baseline_p99_ms,baseline_runs,"
	          "baseline_source,baseline_campaign_p99_ms,slowdown,norm_perf,norm_perf_thesis,"
	          "sample_interval_s,trace_rows,start_time,trace_file");
	for (size_t i = 0; i < w->run_count; i++) {
		put_run(w, &w->run[i], &b);
		if (!w->run[i].no_file)
			dataset_world_trace(w, &w->run[i]);
	}
	dataset_world_put(w, "runs.csv", b.data, b.len);
	km_buf_clear(&b);
	put_names(w, &b,
	          "kind,role,before_run_id,candidate_node,candidate_cores,before_replicas,"
	          "before_rps,after_run_id,campaign,family,scenario,placement,replicas,rps,p99_ms,"
	          "baseline_p99_ms,slowdown,norm_perf,weight");
	for (size_t i = 0; i < w->pair_count; i++)
		put_pair(w, &w->pair[i], &b);
	dataset_world_put(w, "pairs.csv", b.data, b.len);
	km_buf_fini(&b);
}

const char *dataset_world_features(const struct dataset_world *w, const char *task,
                                   const char *training, const char *const *features, size_t count)
{
	struct km_buf b;

	km_buf_init(&b);
	km_buf_printf(&b,
	              "name: synthetic\ntask: %s\nwindow: 60s\nbin: 5s\ntraining:\n%sfeatures:\n",
	              task, training);
	for (size_t i = 0; i < count; i++)
		km_buf_printf(&b, "- %s\n", features[i]);
	assert_true(km_buf_ok(&b));
	dataset_world_put(w, "features.yaml", b.data, b.len);
	km_buf_fini(&b);
	return dataset_world_path(w, "features.yaml");
}

struct km_dataset *dataset_world_open(const struct dataset_world *w, bool placement,
                                      const char *const *features, size_t count)
{
	struct km_err err = { .code = 0 };
	struct km_schema *schema = NULL;
	struct km_dataset *d = NULL;
	struct km_dataset_options o = { .dir = w->dir, .placement = placement };

	if (km_schema_create(features, count, 60, 5, &schema, &err) != 0)
		fail_msg("%s", err.text);
	o.schema = schema;
	if (km_dataset_open(&o, &d, &err) != 0)
		fail_msg("%s", err.text);
	km_schema_unref(schema);
	return d;
}

const char *dataset_recorded(void)
{
	const char *dir = getenv("DATASET");
	const char *required = getenv("KM_REQUIRE_DATASET");
	char path[4096];

	if (dir == NULL || dir[0] == '\0')
		dir = "../shared/data/nginx-pcm";
	(void)snprintf(path, sizeof(path), "%s/runs.csv", dir);
	if (access(path, R_OK) == 0)
		return dir;
	if (required != NULL && strcmp(required, "1") == 0)
		fail_msg("no %s, and KM_REQUIRE_DATASET is 1", path);
	print_message("no %s: set DATASET\n", path);
	return NULL;
}
