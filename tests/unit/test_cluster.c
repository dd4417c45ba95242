/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: names to nodes, publications host by host, and snapshots that outlive what follows. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "km/cluster/cluster.h"

#define MANY_HOSTS 1000 /* a few blocks' worth */

static const char *const pair[] = { "a", "b" };
static const char *const one[] = { "c" };
static const struct km_cluster_host two_hosts[] = { { pair, 2 }, { one, 1 } };

static struct km_cluster *cluster_of(const struct km_cluster_host *hosts, size_t count)
{
	struct km_err err = { .code = 0 };
	struct km_cluster *c = NULL;

	if (km_cluster_create(hosts, count, &c, &err) != 0)
		fail_msg("%s", err.text);
	return c;
}

static struct km_schema *schema_of_one(void)
{
	const char *names[] = { "node.ipc.mean" };
	struct km_schema *s = NULL;

	assert_int_equal(km_schema_create(names, 1, 60, 5, &s, NULL), 0);
	return s;
}

/* Rows of a host; node n's only feature is `value` + n. The caller's reference. */
static struct km_host_features *rows_of(const struct km_schema *s, uint32_t host, uint32_t nodes,
                                        double value)
{
	struct km_host_features *f = km_host_features_create(s, nodes);

	assert_non_null(f);
	f->host = host;
	for (uint32_t n = 0; n < nodes; n++)
		f->row[n] = value + n;
	return f;
}

static void publish(struct km_cluster *c, struct km_host_features *f)
{
	assert_int_equal(km_cluster_publish(c, &f, 1), 0);
	km_host_features_unref(f);
}

static double value_of(const struct km_cluster_snapshot *s, const char *name)
{
	int64_t at = km_cluster_find(s, name, strlen(name));

	assert_true(at >= 0 && at < s->node_count);
	assert_string_equal(s->node[at].name, name);
	assert_int_equal(s->node[at].name_len, strlen(name));
	if (s->node[at].features == NULL)
		return -1;
	return *km_host_features_row(s->node[at].features, s->node[at].row);
}

static void a_new_picture_has_names_and_no_data(void **state)
{
	struct km_cluster *c = cluster_of(two_hosts, 2);
	const struct km_cluster_snapshot *s = km_cluster_get(c);

	(void)state;
	assert_int_equal(s->node_count, 3);
	assert_true(value_of(s, "a") < 0 && value_of(s, "b") < 0 && value_of(s, "c") < 0);
	assert_int_equal(km_cluster_find(s, "d", 1), -1);
	assert_int_equal(km_cluster_find(s, "", 0), -1);
	assert_int_equal(km_cluster_find(s, "ab", 1), 0);
	km_cluster_put(s);
	km_cluster_put(NULL);
	km_cluster_free(c);
	km_cluster_free(NULL);
}

static void many_names_are_found_as_one_by_one(void **state)
{
	static const char *const asked[] = { "c", "", "b", "nobody", "a", "a", "bc" };
	struct km_cluster *c = cluster_of(two_hosts, 2);
	const struct km_cluster_snapshot *s = km_cluster_get(c);
	struct km_name names[100];
	int64_t index[100];

	(void)state;
	for (size_t count = 0; count <= KM_ARRAY_LEN(names); count++) {
		for (size_t i = 0; i < count; i++) {
			const char *text = asked[(i + count) % KM_ARRAY_LEN(asked)];

			names[i] = (struct km_name){ text, (uint32_t)strlen(text) };
		}
		km_cluster_find_many(s, names, count, index);
		for (size_t i = 0; i < count; i++)
			assert_int_equal(index[i], km_cluster_find(s, names[i].text, names[i].len));
	}
	km_cluster_put(s);
	km_cluster_free(c);
}

static void no_hosts_and_hosts_without_nodes_are_pictures_too(void **state)
{
	const struct km_cluster_host hosts[] = { { NULL, 0 }, { one, 1 } };
	struct km_schema *schema = schema_of_one();
	struct km_cluster *c = cluster_of(NULL, 0);
	const struct km_cluster_snapshot *s = km_cluster_get(c);

	(void)state;
	assert_int_equal(s->node_count, 0);
	assert_int_equal(km_cluster_find(s, "a", 1), -1);
	km_cluster_put(s);
	assert_int_equal(km_cluster_publish(c, NULL, 0), 0);
	assert_int_equal(km_cluster_set_hosts(c, hosts, 2, NULL), 0);
	publish(c, rows_of(schema, 1, 1, 5));
	s = km_cluster_get(c);
	assert_true(value_of(s, "c") == 5);
	km_cluster_put(s);
	km_cluster_free(c);
	km_schema_unref(schema);
}

static void a_name_given_twice_is_refused_by_name(void **state)
{
	const struct km_cluster_host hosts[] = { { pair, 2 }, { pair, 1 } };
	struct km_err err = { .code = 0 };
	struct km_cluster *c = NULL;

	(void)state;
	assert_int_equal(km_cluster_create(hosts, 2, &c, &err), -EEXIST);
	assert_null(c);
	assert_non_null(strstr(err.text, "\"a\""));
	c = cluster_of(two_hosts, 2);
	assert_int_equal(km_cluster_set_hosts(c, hosts, 2, &err), -EEXIST);
	{
		const struct km_cluster_snapshot *s = km_cluster_get(c);

		assert_int_equal(s->node_count, 3); /* the old layout stands */
		km_cluster_put(s);
	}
	km_cluster_free(c);
}

static void publishing_replaces_the_given_hosts_only(void **state)
{
	struct km_schema *schema = schema_of_one();
	struct km_cluster *c = cluster_of(two_hosts, 2);
	const struct km_cluster_snapshot *first;
	const struct km_cluster_snapshot *second;

	(void)state;
	publish(c, rows_of(schema, 0, 2, 10));
	first = km_cluster_get(c);
	publish(c, rows_of(schema, 1, 1, 20));
	publish(c, rows_of(schema, 1, 1, 30));
	second = km_cluster_get(c);
	assert_true(value_of(first, "a") == 10 && value_of(first, "b") == 11);
	assert_true(value_of(first, "c") < 0);
	assert_true(value_of(second, "a") == 10 && value_of(second, "b") == 11);
	assert_true(value_of(second, "c") == 30);
	assert_true(second->generation > first->generation);
	assert_true(second->topology == first->topology);
	assert_ptr_equal(second->index, first->index);
	/* a snapshot in use outlives everything */
	km_cluster_put(second);
	km_cluster_free(c);
	km_schema_unref(schema);
	assert_true(value_of(first, "b") == 11);
	km_cluster_put(first);
}

static void rows_of_another_layout_are_left_out(void **state)
{
	struct km_schema *schema = schema_of_one();
	struct km_cluster *c = cluster_of(two_hosts, 2);
	const struct km_cluster_snapshot *s;

	(void)state;
	publish(c, rows_of(schema, 2, 1, 10));          /* no such host */
	publish(c, rows_of(schema, 1, 2, 10));          /* one node too many */
	publish(c, rows_of(schema, UINT32_MAX, 1, 10)); /* far beyond */
	s = km_cluster_get(c);
	assert_true(value_of(s, "a") < 0 && value_of(s, "c") < 0);
	km_cluster_put(s);
	km_cluster_free(c);
	km_schema_unref(schema);
}

static void another_layout_is_another_topology_without_data(void **state)
{
	struct km_schema *schema = schema_of_one();
	struct km_cluster *c = cluster_of(two_hosts, 2);
	const struct km_cluster_snapshot *before;
	const struct km_cluster_snapshot *after;

	(void)state;
	publish(c, rows_of(schema, 0, 2, 10));
	before = km_cluster_get(c);
	assert_int_equal(km_cluster_set_hosts(c, &two_hosts[1], 1, NULL), 0);
	after = km_cluster_get(c);
	assert_true(after->topology != before->topology);
	assert_true(after->generation > before->generation);
	assert_int_equal(after->node_count, 1);
	assert_true(value_of(after, "c") < 0);
	assert_int_equal(km_cluster_find(after, "a", 1), -1);
	assert_true(value_of(before, "b") == 11);
	km_cluster_put(before);
	km_cluster_put(after);
	km_cluster_free(c);
	km_schema_unref(schema);
}

/* ---- many hosts, several blocks ---- */
struct many {
	char text[MANY_HOSTS][8];
	const char *name[MANY_HOSTS];
	struct km_cluster_host host[MANY_HOSTS];
	struct km_cluster *cluster;
	struct km_schema *schema;
};

static void many_init(struct many *m)
{
	for (uint32_t i = 0; i < MANY_HOSTS; i++) {
		(void)snprintf(m->text[i], sizeof(m->text[i]), "n%04u", i);
		m->name[i] = m->text[i];
		m->host[i] = (struct km_cluster_host){ &m->name[i], 1 };
	}
	m->cluster = cluster_of(m->host, MANY_HOSTS);
	m->schema = schema_of_one();
}

static void many_publish(const struct many *m, uint32_t step, double value)
{
	struct km_host_features *f[MANY_HOSTS];
	size_t count = 0;

	for (uint32_t i = 0; i < MANY_HOSTS; i += step)
		f[count++] = rows_of(m->schema, i, 1, value);
	assert_int_equal(km_cluster_publish(m->cluster, f, count), 0);
	for (size_t i = 0; i < count; i++)
		km_host_features_unref(f[i]);
}

static void many_fini(struct many *m)
{
	km_cluster_free(m->cluster);
	km_schema_unref(m->schema);
}

static void blocks_shared_between_snapshots_keep_every_host(void **state)
{
	static struct many m;
	const struct km_cluster_snapshot *s;

	(void)state;
	many_init(&m);
	many_publish(&m, 1, 100);
	many_publish(&m, 7, 200);
	many_publish(&m, 300, 300);
	s = km_cluster_get(m.cluster);
	for (uint32_t i = 0; i < MANY_HOSTS; i++) {
		double want = i % 300 == 0 ? 300 : i % 7 == 0 ? 200 : 100;

		if (value_of(s, m.name[i]) != want)
			fail_msg("host %u: %g, want %g", i, value_of(s, m.name[i]), want);
	}
	km_cluster_put(s);
	many_fini(&m);
}

#define READERS      2
#define PUBLICATIONS 300

static char torn[] = "hosts of two publications in one picture";
static char backwards[] = "an older picture after a newer one";

static void *read_on(void *cluster)
{
	uint64_t last = 0;

	while (last < PUBLICATIONS) {
		const struct km_cluster_snapshot *s = km_cluster_get(cluster);
		double value = s->node[0].features == NULL ? -1 : s->node[0].features->row[0];

		/* all hosts of a publication appear at once, and time does not run backwards */
		for (uint32_t i = 0; i < s->node_count; i += 50) {
			double here =
				s->node[i].features == NULL ? -1 : s->node[i].features->row[0];

			if (here != value)
				return torn;
		}
		if (s->generation < last)
			return backwards;
		last = s->generation;
		km_cluster_put(s);
	}
	return NULL;
}

static void readers_see_whole_pictures_while_new_ones_are_published(void **state)
{
	static struct many m;
	pthread_t thread[READERS];

	(void)state;
	many_init(&m);
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_on, m.cluster), 0);
	for (int i = 0; i < PUBLICATIONS; i++)
		many_publish(&m, 50, i);
	for (size_t i = 0; i < READERS; i++) {
		void *trouble = NULL;

		assert_int_equal(pthread_join(thread[i], &trouble), 0);
		if (trouble != NULL)
			fail_msg("%s", (const char *)trouble);
	}
	many_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_picture_has_names_and_no_data),
		cmocka_unit_test(many_names_are_found_as_one_by_one),
		cmocka_unit_test(no_hosts_and_hosts_without_nodes_are_pictures_too),
		cmocka_unit_test(a_name_given_twice_is_refused_by_name),
		cmocka_unit_test(publishing_replaces_the_given_hosts_only),
		cmocka_unit_test(rows_of_another_layout_are_left_out),
		cmocka_unit_test(another_layout_is_another_topology_without_data),
		cmocka_unit_test(blocks_shared_between_snapshots_keep_every_host),
		cmocka_unit_test(readers_see_whole_pictures_while_new_ones_are_published),
	};

	return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
