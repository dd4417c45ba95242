/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: hostile files. The fixed test model with one thing changed: each change is either refused
 * with the right words or leaves a model that works; under sanitizers, nothing reads out of bounds.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/file.h"
#include "km/base/rng.h"
#include "km/model/model.h"
#include "km/model/validate.h"

#define MODEL    "tests/fixtures/model/test.ubj"
#define FEATURES 5

struct bytes {
	uint8_t *data;
	size_t len;
};

static struct bytes original(void)
{
	struct km_buf buf;
	struct bytes b;

	km_buf_init(&buf);
	assert_int_equal(km_file_read(MODEL, KM_MODEL_FILE_MAX_BYTES, &buf, NULL), 0);
	b.data = (uint8_t *)km_buf_take(&buf, &b.len);
	assert_non_null(b.data);
	return b;
}

/* Where `text` is for the n-th time (from 0): just behind it. */
static size_t after(const struct bytes *b, const char *text, size_t n)
{
	size_t len = strlen(text);

	for (size_t at = 0; at + len <= b->len; at++) {
		if (memcmp(b->data + at, text, len) == 0 && n-- == 0)
			return at + len;
	}
	fail_msg("%s is not in the file", text);
	return 0;
}

/* A copy cut to exactly its size, so that the sanitizer sees the first byte beyond it. */
static int open_exact(const uint8_t *data, size_t len, struct km_model **m, struct km_err *err)
{
	uint8_t *exact = malloc(len ? len : 1);
	int rc;

	assert_non_null(exact);
	memcpy(exact, data, len);
	rc = km_model_open_bytes(exact, len, m, err);
	free(exact);
	return rc;
}

/* A model that opened must also work. */
static void use(struct km_model *m)
{
	float rows[8 * FEATURES] = { 0 };
	size_t count = km_model_schema(m)->count;
	struct km_prediction out[8];
	float contribution[KM_FEATURES_MAX + 1];
	int rc;

	rows[1] = NAN;
	rows[7] = 1e30f;
	assert_true(count <= FEATURES);
	assert_int_equal(km_model_predict(m, rows, 8, out, NULL), 0);
	/* Hessians that do not add up may be refused here, by libxgboost itself. */
	rc = km_model_contributions(m, rows, contribution, NULL);
	assert_true(rc == 0 || rc == -EIO);
	km_model_unref(m);
}

static void put_int32(uint8_t *at, int32_t value)
{
	uint32_t raw = (uint32_t)value;

	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(raw >> (24 - 8 * i));
}

#define NAN_BITS 0x7fc00000
#define INF_BITS 0x7f800000

/* Trees of depth 3: node 0 has children 1 and 2, node 1 has 3 and 4, node 7 is a leaf. */
static void a_broken_tree_is_refused_by_place(void **state)
{
	static const struct {
		const char *column;
		size_t tree;
		size_t index;
		int32_t value;
		const char *want;
	} rows[] = {
		{ "left_children", 0, 0, 99999, "tree 0: left_children[0] is 99999" },
		{ "left_children", 3, 0, 15, "tree 3: left_children[0] is 15, want -1 or 1..14" },
		{ "right_children", 1, 1, -2, "tree 1: right_children[1] is -2" },
		{ "right_children", 1, 1, INT32_MIN, "right_children[1]" },
		{ "left_children", 2, 0, 0, "left_children[0] is 0" },
		{ "left_children", 2, 1, 0, "left_children[1] is 0" },
		{ "left_children", 2, 1, 1, "node 1 is reached twice" },
		{ "left_children", 2, 3, 1, "node 1 is reached twice" },
		{ "left_children", 2, 0, 7, "parents[7] is 3, but it hangs under 0" },
		{ "right_children", 2, 0, 1, "node 1 is reached twice" },
		{ "left_children", 0, 1, -1, "left_children[1] is -1" },
		{ "left_children", 0, 7, 8, "node 8 is reached twice" },
		{ "parents", 0, 4, 2, "parents[4] is 2, but it hangs under 1" },
		{ "parents", 0, 0, 3, "parents[0] is 3, want none" },
		{ "split_indices", 0, 0, 5, "split_indices[0] is 5, want 0..4" },
		{ "split_indices", 5, 2, -1, "tree 5: split_indices[2] is -1" },
		{ "split_conditions", 0, 2, NAN_BITS, "split_conditions[2] is nan" },
		{ "split_conditions", 0, 14, INF_BITS, "split_conditions[14] is inf" },
		{ "base_weights", 0, 1, NAN_BITS, "base_weights[1]" },
		{ "sum_hessian", 0, 1, INF_BITS, "sum_hessian[1]" },
		{ "loss_changes", 0, 1, INF_BITS, "loss_changes[1]" },
	};
	struct bytes b = original();

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		/* behind the name: [ $ l # L and a count of 8 bytes */
		uint8_t *at =
			b.data + after(&b, rows[i].column, rows[i].tree) + 13 + 4 * rows[i].index;
		struct km_err err = { .code = 0 };
		struct km_model *m = NULL;
		uint8_t kept[4];

		memcpy(kept, at, 4);
		put_int32(at, rows[i].value);
		assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
		if (!strstr(err.text, rows[i].want))
			fail_msg("%s[%zu]: \"%s\", want \"%s\"", rows[i].column, rows[i].index,
			         err.text, rows[i].want);
		memcpy(at, kept, 4);
	}
	free(b.data);
}

/* Parameters are text: `put` overwrites the digits behind the name and its length. */
static void a_wrong_parameter_is_refused(void **state)
{
	static const struct {
		const char *name;
		const char *put;
		const char *want;
	} rows[] = {
		{ "num_trees", "99", "num_trees is 99, but 24 trees" },
		{ "num_trees", "-1", "num_trees: \"-1\"" },
		{ "num_parallel_tree", "0", "num_parallel_tree: \"0\"" },
		{ "num_parallel_tree", "7", "does not divide" },
		{ "num_nodes", "14", "has 15 entries" },
		{ "num_deleted", "1", "15 nodes reached from the root, want 14" },
		{ "num_class", "3", "num_class: \"3\"" },
		{ "num_target", "2", "num_target: \"2\"" },
		{ "size_leaf_vector", "2", "size_leaf_vector: \"2\"" },
		{ "base_score", "nan", "base_score: \"nan" },
	};
	struct bytes b = original();

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		/* behind the name: S L and a length of 8 bytes; the length stays */
		uint8_t *at = b.data + after(&b, rows[i].name, 0) + 10;
		size_t len = strlen(rows[i].put);
		struct km_err err = { .code = 0 };
		struct km_model *m = NULL;
		uint8_t kept[8];

		memcpy(kept, at, len);
		memcpy(at, rows[i].put, len);
		assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
		if (!strstr(err.text, rows[i].want))
			fail_msg("%s: \"%s\", want \"%s\"", rows[i].name, err.text, rows[i].want);
		memcpy(at, kept, len);
	}
	free(b.data);
}

static void all_trees_must_agree_on_the_features(void **state)
{
	struct bytes b = original();
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;
	uint8_t *third = b.data + after(&b, "num_feature", 2) + 10;
	uint8_t *learner = b.data + after(&b, "num_feature", 24) + 10;

	(void)state;
	*third = '6';
	assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "tree 2: num_feature is 6, others have 5"));
	*third = '5';
	*learner = '4';
	assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "num_feature is 4, but the trees have 5"));
	for (size_t i = 0; i < 25; i++)
		b.data[after(&b, "num_feature", i) + 10] = '6';
	assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "5 feature names, but the trees have 6"));
	free(b.data);
}

/* An output index other than 0 makes libxgboost write behind the results. */
static void a_tree_of_another_output_is_refused(void **state)
{
	struct bytes b = original();
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;
	/* behind the name: [ # L, a count of 8 bytes, then "i" and a byte for each */
	uint8_t *at = b.data + after(&b, "tree_info", 0) + 11 + 2 * 5 + 1;

	(void)state;
	assert_int_equal(*at, 0);
	*at = 1;
	assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "tree_info[5] is 1, want 0"));
	free(b.data);
}

/* libxgboost puts a tree where its id says; a place left empty is a null pointer. */
static void a_tree_under_the_id_of_another_is_refused(void **state)
{
	struct bytes b = original();
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;
	/* the key's length, its name, the marker */
	uint8_t *at = b.data + after(&b, "\x02idi", 3);

	(void)state;
	assert_int_equal(*at, 3);
	*at = 2;
	assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "tree 3: id is 2"));
	free(b.data);
}

static void a_length_beyond_the_file_is_refused(void **state)
{
	static const char *const names[] = { "left_children", "split_type", "categories", "trees",
		                             "tree_info" };
	struct bytes b = original();

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(names); i++) {
		bool list = i >= 3;
		uint8_t *count = b.data + after(&b, names[i], 0) + (list ? 3 : 5);
		static const uint8_t huge[] = { 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
		struct km_err err = { .code = 0 };
		struct km_model *m = NULL;
		uint8_t kept[8];

		memcpy(kept, count, 8);
		memcpy(count, huge, 8);
		assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "bytes are left"));
		count[0] = 0xff; /* negative */
		assert_int_equal(open_exact(b.data, b.len, &m, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "bytes are left"));
		memcpy(count, kept, 8);
	}
	free(b.data);
}

static void a_truncated_model_is_refused(void **state)
{
	struct bytes b = original();

	(void)state;
	for (size_t len = 0; len < b.len; len += 7) {
		struct km_err err = { .code = 0 };
		struct km_model *m = NULL;

		assert_int_equal(open_exact(b.data, len, &m, &err), -EBADMSG);
		assert_true(err.text[0] != '\0');
	}
	free(b.data);
}

static void bytes_behind_the_model_are_refused(void **state)
{
	struct bytes b = original();
	uint8_t *longer = calloc(1, b.len + 3);
	struct km_err err = { .code = 0 };
	struct km_model *m = NULL;

	(void)state;
	assert_non_null(longer);
	memcpy(longer, b.data, b.len);
	assert_int_equal(open_exact(longer, b.len + 3, &m, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "3 bytes follow"));
	free(longer);
	free(b.data);
}

static void deep_nesting_is_refused(void **state)
{
	uint8_t deep[4096];
	struct km_model_shape shape;
	struct km_err err = { .code = 0 };
	size_t len = 0;

	(void)state;
	deep[len++] = '{';
	memcpy(deep + len, "i\x01x", 3);
	len += 3;
	while (len + 4 <= sizeof(deep)) {
		memcpy(deep + len, "[#i\x01", 4);
		len += 4;
	}
	assert_int_equal(km_model_validate(deep, len, &shape, NULL, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "deeper than 32"));
}

/* Random damage: an error with words, or a model that still predicts. Never more than that. */
static void flipped_bytes_never_crash(void **state)
{
	struct bytes b = original();
	struct km_rng rng;
	size_t opened = 0;

	(void)state;
	km_rng_init(&rng, 42);
	for (int round = 0; round < 4000; round++) {
		size_t at[4];
		uint8_t kept[4];
		uint32_t count = 1 + km_rng_below(&rng, 4);
		struct km_err err = { .code = 0 };
		struct km_model *m = NULL;

		for (uint32_t i = 0; i < count; i++) {
			at[i] = km_rng_below(&rng, (uint32_t)b.len);
			kept[i] = b.data[at[i]];
			b.data[at[i]] = (uint8_t)km_rng_u64(&rng);
		}
		if (open_exact(b.data, b.len, &m, &err) == 0) {
			use(m);
			opened++;
		} else {
			assert_true(err.text[0] != '\0' && !strchr(err.text, '\n'));
		}
		for (uint32_t i = count; i-- > 0;)
			b.data[at[i]] = kept[i];
	}
	/* Gains and hessians may change without harm: some damage must get through. */
	assert_true(opened > 0);
	free(b.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_broken_tree_is_refused_by_place),
		cmocka_unit_test(a_wrong_parameter_is_refused),
		cmocka_unit_test(all_trees_must_agree_on_the_features),
		cmocka_unit_test(a_tree_of_another_output_is_refused),
		cmocka_unit_test(a_tree_under_the_id_of_another_is_refused),
		cmocka_unit_test(a_length_beyond_the_file_is_refused),
		cmocka_unit_test(a_truncated_model_is_refused),
		cmocka_unit_test(bytes_behind_the_model_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(flipped_bytes_never_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
