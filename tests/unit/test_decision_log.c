/* SPDX-License-Identifier: Apache-2.0 */
/* decide: the decision log: what is written, to which file, and what happens when it cannot be. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/file.h"
#include "km/decide/decision_log.h"

#include "support/decide_world.h"

#define PATIENCE_MS 20000

struct log_world {
	struct world w;
	struct km_decision_log *log;
	char dir[64];
	char path[128];
};

static void set_path(struct log_world *l, const char *path)
{
	struct km_decide_settings s = l->w.settings;
	char copy[128];

	(void)snprintf(copy, sizeof(copy), "%s", path);
	s.log_path = copy;
	assert_int_equal(km_decision_log_set(l->log, &s, NULL), 0);
}

static void start(struct log_world *l)
{
	world_init_ready(&l->w);
	(void)snprintf(l->dir, sizeof(l->dir), "/tmp/km-decision-log.XXXXXX");
	assert_non_null(mkdtemp(l->dir));
	(void)snprintf(l->path, sizeof(l->path), "%s/log", l->dir);
	assert_int_equal(
		km_decision_log_create(l->w.cluster, &l->w.clock, l->w.metrics, &l->log, NULL), 0);
}

static void stop(struct log_world *l)
{
	char other[160];

	km_decision_log_free(l->log);
	world_fini(&l->w);
	(void)unlink(l->path);
	(void)snprintf(other, sizeof(other), "%s.1", l->path);
	(void)unlink(other);
	assert_int_equal(rmdir(l->dir), 0);
}

/* One call about these nodes, with scores 1, 2, 3, ...; the second is rejected. */
static void decide(struct log_world *l, uint64_t id, const char *const *node, size_t count)
{
	const struct km_label label[] = { { name_of("app"), name_of("web") },
		                          { name_of("example.org/\"x\""), name_of("") } };
	struct km_verdict verdict[8] = { { .score = 0 } };
	struct km_name name[8];
	const struct km_logged_decision d = {
		.id = id,
		.call = KM_DECISION_FILTER,
		.wall_ns = 1700000000 * KM_NS_PER_S,
		.at_ns = l->w.now_ns,
		.pod = { .namespace = name_of("shop"),
		         .name = name_of("web \"1\""),
		         .uid = name_of(""),
		         .label = label,
		         .label_count = 2,
		         .owner_kind = name_of("Job"),
		         .owner_name = name_of("j"),
		         .class_name = name_of("batch"),
		         .rps = 12.5,
		         .max_slowdown = NAN },
		.workload = l->w.settings.default_workload,
		.workload_from = "default",
		.model_hash = 0x1234,
		.count = count,
	};

	for (size_t i = 0; i < count; i++) {
		name[i] = name_of(node[i]);
		verdict[i].score = (int32_t)i + 1;
		verdict[i].passes = i != 1;
	}
	km_decision_log_add(l->log, &(struct km_decision_log_entry){ &d, name, verdict });
}

static const char *const both[] = { "busy", "ghost" };

/* Waits for a counter of the log. */
static void wait_for(struct log_world *l, const char *line)
{
	struct km_buf text;
	bool found = false;

	km_buf_init(&text);
	for (int waited = 0; !found && waited < PATIENCE_MS; waited += 2) {
		km_buf_clear(&text);
		assert_int_equal(km_metrics_expose(l->w.metrics, &text), 0);
		found = strstr(km_buf_cstr(&text), line) != NULL;
		if (!found)
			(void)poll(NULL, 0, 2);
	}
	if (!found)
		fail_msg("no %s in\n%s", line, km_buf_cstr(&text));
	km_buf_fini(&text);
}

static void wait_calls(struct log_world *l, int count)
{
	char line[96];

	(void)snprintf(line, sizeof(line), "\nkubemarla_decision_log_calls_total %d\n", count);
	wait_for(l, line);
}

/* The kinds of a file's lines, a letter each: s, f (schema), n, r, d; ? for a bad one. */
static void kinds_of(const char *path, char *out, size_t size)
{
	static const char letters[] = "sfnrd";
	struct km_lines *lines = NULL;
	struct km_arena arena;
	const char *line;
	size_t count = 0;
	size_t len;

	assert_int_equal(km_lines_open(path, KM_DECISION_LINE_MAX, &lines, NULL), 0);
	km_arena_init(&arena, 0);
	while (km_lines_next(lines, &line, &len, NULL) > 0) {
		struct km_decision_line read;
		int rc = km_decision_line_read(line, len, &arena, &read, NULL);

		assert_true(count + 1 < size);
		out[count++] = '?';
		if (rc == 0)
			out[count - 1] = letters[read.kind];
	}
	out[count] = '\0';
	km_arena_fini(&arena);
	km_lines_close(lines);
}

static void want_kinds(const char *path, const char *want)
{
	char got[64];

	kinds_of(path, got, sizeof(got));
	assert_string_equal(got, want);
}

static void rows_are_written_when_they_changed(void **state)
{
	static const char *const all[] = { "idle", "busy", "mid", "dark" };
	struct log_world l;

	(void)state;
	start(&l);
	assert_false(km_decision_log_wanted(NULL));
	assert_false(km_decision_log_wanted(l.log));
	set_path(&l, l.path);
	assert_true(km_decision_log_wanted(l.log));
	decide(&l, 1, both, 2);
	wait_calls(&l, 1);
	want_kinds(l.path, "snfrd"); /* only the row that was asked for */
	decide(&l, 2, all, 4);
	wait_calls(&l, 2);
	want_kinds(l.path, "snfrdrrd");
	decide(&l, 3, all, 4);
	wait_calls(&l, 3);
	want_kinds(l.path, "snfrdrrdd");
	publish_known(&l.w, 2);
	decide(&l, 4, both, 2);
	wait_calls(&l, 4);
	want_kinds(l.path, "snfrdrrddrd");
	/* off: nothing is added */
	set_path(&l, "");
	assert_false(km_decision_log_wanted(l.log));
	stop(&l);
}

static void is_the_decision(const struct km_decision_line *read, int64_t now_ns)
{
	assert_int_equal(read->kind, KM_LINE_DECISION);
	assert_int_equal(read->decision.id, 77);
	assert_int_equal(read->decision.at_ns, now_ns);
	assert_int_equal(read->decision.model_hash, 0x1234);
	assert_memory_equal(read->decision.pod.name.text, "web \"1\"", 7);
	assert_int_equal(read->decision.pod.label_count, 2);
	assert_non_null(km_pod_label(&read->decision.pod, "example.org/\"x\""));
	assert_int_equal(km_pod_label(&read->decision.pod, "app")->len, 3);
	assert_true(read->decision.pod.rps == 12.5 && isnan(read->decision.pod.max_slowdown));
	assert_memory_equal(read->decision.pod.class_name.text, "batch", 5);
	assert_memory_equal(read->decision.pod.owner_kind.text, "Job", 3);
	assert_int_equal(read->decision.count, 2);
	assert_int_equal(read->decision.node[0], 1);
	assert_int_equal(read->decision.node[1], -1);
	assert_memory_equal(read->decision.name[1].text, "ghost", 5);
	assert_int_equal(read->decision.age_us[0], 2000000);
	assert_int_equal(read->decision.age_us[1], -1);
	assert_int_equal(read->decision.score[1], 2);
	assert_false(read->decision.rejected[0]);
	assert_true(read->decision.rejected[1]);
	assert_true(read->decision.workload.rps == 1000);
}

static void lines_say_what_was_decided(void **state)
{
	struct km_lines *lines = NULL;
	static struct km_decision_line read;
	struct km_arena arena;
	struct log_world l;
	const char *line;
	size_t len;

	(void)state;
	start(&l);
	set_path(&l, l.path);
	l.w.now_ns += 2 * KM_NS_PER_S;
	decide(&l, 77, both, 2);
	wait_calls(&l, 1);
	km_arena_init(&arena, 0);
	assert_int_equal(km_lines_open(l.path, KM_DECISION_LINE_MAX, &lines, NULL), 0);
	while (km_lines_next(lines, &line, &len, NULL) > 0) {
		assert_int_equal(km_decision_line_read(line, len, &arena, &read, NULL), 0);
		if (read.kind == KM_LINE_SETTINGS) {
			assert_true(read.settings.max_age_ns == MAX_AGE_S * KM_NS_PER_S);
			assert_int_equal(read.settings.score_scale, 10);
		} else if (read.kind == KM_LINE_NODES) {
			assert_int_equal(read.count, NODES);
			assert_int_equal(read.name[1].len, 4);
			assert_memory_equal(read.name[1].text, "busy", 4);
		} else if (read.kind == KM_LINE_SCHEMA) {
			assert_int_equal(read.count, FEATURES - 1); /* pod.rps is not measured */
			assert_true(read.window_s == km_model_schema(l.w.model)->window_s);
		} else if (read.kind == KM_LINE_ROW) {
			assert_int_equal(read.row.node, 1);
			assert_int_equal(read.row.version, 1);
			for (size_t i = 0; i < FEATURES - 1; i++)
				assert_true((float)read.row.value[i] == (float)busy_row[i]);
		}
	}
	is_the_decision(&read, l.w.now_ns);
	km_lines_close(lines);
	km_arena_fini(&arena);
	stop(&l);
}

static void a_file_that_was_renamed_is_left_alone(void **state)
{
	struct log_world l;
	struct stat st;
	char other[160];

	(void)state;
	start(&l);
	set_path(&l, l.path);
	decide(&l, 1, both, 2);
	/* What was decided before goes to the old file, though nobody waited. */
	(void)snprintf(other, sizeof(other), "%s.1", l.path);
	set_path(&l, l.path);
	decide(&l, 2, both, 2);
	wait_calls(&l, 2);
	want_kinds(l.path, "snfrdsnfrd");
	assert_int_equal(rename(l.path, other), 0);
	decide(&l, 3, both, 2);
	wait_calls(&l, 3);
	want_kinds(other, "snfrdsnfrdd");
	set_path(&l, l.path);
	decide(&l, 4, both, 2);
	wait_calls(&l, 4);
	want_kinds(other, "snfrdsnfrdd");
	want_kinds(l.path, "snfrd"); /* whole by itself */
	assert_int_equal(stat(l.path, &st), 0);
	assert_int_equal(st.st_mode & 0007, 0);
	stop(&l);
}

static void a_torn_line_costs_one_line(void **state)
{
	struct log_world l;
	FILE *f;

	(void)state;
	start(&l);
	f = fopen(l.path, "w");
	assert_non_null(f);
	(void)fputs("{\"kind\":\"deci", f);
	assert_int_equal(fclose(f), 0);
	set_path(&l, l.path);
	decide(&l, 1, both, 2);
	wait_calls(&l, 1);
	want_kinds(l.path, "?snfrd");
	stop(&l);
}

static void a_full_disk_is_counted_and_survived(void **state)
{
	struct log_world l;

	(void)state;
	start(&l);
	if (access("/dev/full", W_OK) != 0) {
		stop(&l);
		skip();
	}
	set_path(&l, "/dev/full");
	decide(&l, 1, both, 2);
	decide(&l, 2, both, 2);
	wait_for(&l, "\nkubemarla_decision_log_dropped_total{reason=\"disk\"} 2\n");
	set_path(&l, "/no/such/directory/log");
	decide(&l, 3, both, 2);
	wait_for(&l, "\nkubemarla_decision_log_dropped_total{reason=\"disk\"} 3\n");
	set_path(&l, l.path);
	decide(&l, 4, both, 2);
	wait_calls(&l, 1);
	want_kinds(l.path, "snfrd");
	stop(&l);
}

/* A pipe that nobody reads: requests do not wait for it, and neither does the end. */
static void a_slow_disk_drops_and_never_blocks(void **state)
{
	static const char *const all[] = { "idle", "busy", "mid", "dark" };
	struct log_world l;

	(void)state;
	start(&l);
	assert_int_equal(mkfifo(l.path, 0600), 0);
	set_path(&l, l.path);
	for (uint64_t id = 1; id <= 5000; id++)
		decide(&l, id, all, 4);
	wait_for(&l, "\nkubemarla_decision_log_dropped_total{reason=\"queue\"} 4");
	/* it has opened the pipe, and filled it: 64 KiB are some 160 calls */
	wait_for(&l, "\nkubemarla_decision_log_dropped_total{reason=\"disk\"} 1\n");
	stop(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_written_when_they_changed),
		cmocka_unit_test(lines_say_what_was_decided),
		cmocka_unit_test(a_file_that_was_renamed_is_left_alone),
		cmocka_unit_test(a_torn_line_costs_one_line),
		cmocka_unit_test(a_full_disk_is_counted_and_survived),
		cmocka_unit_test(a_slow_disk_drops_and_never_blocks),
	};

	return cmocka_run_group_tests_name("decision_log", tests, NULL, NULL);
}
