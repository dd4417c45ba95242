/* SPDX-License-Identifier: Apache-2.0 */
/* wire: lists and watch lines, however their bytes are cut. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/buf.h"
#include "km/wire/kube_stream.h"

/* What was handed on, '\n' behind each. */
struct heard {
	struct km_buf text;
	unsigned count, fail_at; /* 0 = never */
};

static int on_piece(void *ctx, const char *text, size_t len)
{
	struct heard *h = ctx;

	if (++h->count == h->fail_at)
		return -ENOMEM;
	km_buf_append(&h->text, text, len);
	km_buf_char(&h->text, '\n');
	return 0;
}

/* Feeds `text` in pieces of `piece` bytes, each in memory of its own so that a sanitizer sees. */
static int feed_list(struct km_kube_list *l, const char *text, size_t piece, struct km_err *err)
{
	size_t len = strlen(text);
	int rc = 0;

	for (size_t at = 0; at < len && rc == 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		char *copy = malloc(n);

		assert_non_null(copy);
		memcpy(copy, text + at, n);
		rc = km_kube_list_feed(l, copy, n, err);
		free(copy);
	}
	return rc != 0 ? rc : km_kube_list_end(l, err);
}

static void a_list_is_the_same_however_it_is_cut(void **state)
{
	static const struct {
		const char *text;
		const char *objects, *version, *token;
		uint64_t skipped;
	} rows[] = {
		{ "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":"
		  "\"7\","
		  "\"continue\":\"a\\/"
		  "b\\u0063\",\"remainingItemCount\":3},\"items\":[{\"a\":\"}]\\\"{\"},"
		  "{\"b\":[[1],{\"c\":\"\\\\\"}]},{}]}\n",
		  "{\"a\":\"}]\\\"{\"}\n{\"b\":[[1],{\"c\":\"\\\\\"}]}\n{}\n", "7", "a/bc", 0 },
		/* a custom resource: keys sorted, so items come before metadata */
		{ "{\"apiVersion\":\"x/v1\",\"items\":[{\"a\":1}],\"kind\":\"XList\",\"metadata\":{"
		  "\"continue\":\"\",\"resourceVersion\":\"12\"}}",
		  "{\"a\":1}\n", "12", "", 0 },
		{ "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null}", "", "1", "", 0 },
		{ "{\"metadata\":{\"resourceVersion\":\"1\"}}", "", "1", "", 0 },
		{ " { \"items\" : [ ] , \"metadata\" : { \"resourceVersion\" : \"1\" } } ", "", "1",
		  "", 0 },
		{ "{\"x\":1.5e3,\"y\":true,\"z\":[[],{}],\"metadata\":{\"resourceVersion\":\"1\"},"
		  "\"items\":[ {\"a\":1} , {\"b\":2} ]}",
		  "{\"a\":1}\n{\"b\":2}\n", "1", "", 0 },
		/* what is broken between its braces costs that object alone */
		{ "{\"items\":[{\"a\":1,},{\"b\":2},{\"c\":\"\t\"},5],\"metadata\":{"
		  "\"resourceVersion\":\"1\"}}",
		  "{\"b\":2}\n5\n", "1", "", 2 },
		/* the last of doubled members */
		{ "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"a\":1}],\"items\":[{"
		  "\"b\":"
		  "2}],\"metadata\":{\"resourceVersion\":\"2\"}}",
		  "{\"a\":1}\n{\"b\":2}\n", "2", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].text); piece++) {
			struct heard heard = { .count = 0 };
			struct km_err err = { .code = 0 };
			struct km_kube_list *l;

			assert_int_equal(km_kube_list_create(1000, on_piece, &heard, &l), 0);
			if (feed_list(l, rows[i].text, piece, &err) != 0) {
				fail_msg("row %zu by %zu: %s", i, piece, err.text);
			}
			assert_string_equal(km_buf_cstr(&heard.text), rows[i].objects);
			assert_string_equal(km_kube_list_version(l), rows[i].version);
			assert_string_equal(km_kube_list_continue(l), rows[i].token);
			assert_int_equal(km_kube_list_skipped(l), rows[i].skipped);
			/* and once more with what was kept */
			km_kube_list_reset(l);
			assert_int_equal(feed_list(l, rows[i].text, piece, &err), 0);
			km_kube_list_free(l);
			km_buf_fini(&heard.text);
		}
	}
}

static void what_is_no_whole_list_says_where(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} rows[] = {
		{ "", "list: byte 0: saw the end, want a list's '{'" },
		{ "<html>", "list: byte 0: saw 0x3c, want a list's '{'" },
		{ "[]", "list: byte 0: saw 0x5b, want a list's '{'" },
		{ "{,", "list: byte 1: saw 0x2c, want a key or '}'" },
		{ "{\"a\"1", "list: byte 4: saw 0x31, want ':'" },
		{ "{\"a\":}", "list: byte 5: saw 0x7d, want a value" },
		{ "{\"a\":1,}", "list: byte 7: saw 0x7d, want a key" },
		{ "{\"a\":1]", "list: byte 6: saw 0x5d, want ',' or '}'" },
		{ "{\"items\":{}}", "list: byte 9: saw 0x7b, want a value" },
		{ "{\"items\":[,", "list: byte 10: saw 0x2c, want '{' or ']'" },
		{ "{\"items\":[{}{", "list: byte 12: saw 0x7b, want ',' or ']'" },
		{ "{\"items\":[{},]", "list: byte 13: saw 0x5d, want '{'" },
		{ "{\"items\":[{\"a\":", "list: byte 15: saw the end, want an object's end" },
		{ "{\"items\":[{}]", "list: byte 13: saw the end, want ',' or '}'" },
		{ "{\"items\":[{\"d\":[}]}", "list: byte 18: saw 0x7d, want ',' or ']'" },
		{ "{}", "list: saw no metadata.resourceVersion, want one to watch from" },
		{ "{\"metadata\":{\"resourceVersion\":\"\"}}",
		  "list: saw no metadata.resourceVersion, want one to watch from" },
		{ "{\"metadata\":{\"resourceVersion\":7}}",
		  "list: saw no metadata.resourceVersion, want one to watch from" },
		{ "{\"metadata\":{\"resourceVersion\":\"7\",}}",
		  "list: saw no metadata.resourceVersion, want one to watch from" },
		{ "{\"metadata\":{\"resourceVersion\":\"7\"}}}",
		  "list: byte 36: saw 0x7d, want the end" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct heard heard = { .count = 0 };
		struct km_err err = { .code = 0 };
		struct km_kube_list *l;

		assert_int_equal(km_kube_list_create(1000, on_piece, &heard, &l), 0);
		assert_int_equal(feed_list(l, rows[i].text, 1000, &err), -EBADMSG);
		assert_string_equal(err.text, rows[i].error);
		km_kube_list_free(l);
		km_buf_fini(&heard.text);
	}
}

static void large_objects_are_skipped_and_their_owner_may_fail(void **state)
{
	static const char text[] =
		"{\"items\":[{\"a\":1},{\"long\":\"xxxxxxxxxxxxxxxx\"},{\"b\":2}],"
		"\"metadata\":{\"resourceVersion\":\"1\"}}";

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct heard heard = { .count = 0 };
		struct km_kube_list *l;

		assert_int_equal(km_kube_list_create(20, on_piece, &heard, &l), 0);
		assert_int_equal(feed_list(l, text, piece, NULL), 0);
		assert_string_equal(km_buf_cstr(&heard.text), "{\"a\":1}\n{\"b\":2}\n");
		assert_int_equal(km_kube_list_skipped(l), 1);
		km_kube_list_reset(l);
		heard.count = 0;
		heard.fail_at = 2;
		assert_int_equal(feed_list(l, text, piece, NULL), -ENOMEM);
		km_kube_list_free(l);
		km_buf_fini(&heard.text);
	}
}

static void lines_are_the_same_however_they_are_cut(void **state)
{
	static const char text[] = "one\n\ntwo\r\nthree is too long\nfour\n\n\nhalf";

	(void)state;
	for (size_t piece = 1; piece < sizeof(text); piece++) {
		struct heard heard = { .count = 0 };
		struct km_kube_lines *l;

		assert_int_equal(km_kube_lines_create(8, on_piece, &heard, &l), 0);
		for (int round = 0; round < 2; round++) {
			km_buf_clear(&heard.text);
			for (size_t at = 0; at < sizeof(text) - 1; at += piece) {
				size_t left = sizeof(text) - 1 - at;
				char *copy = strndup(text + at, left < piece ? left : piece);

				assert_int_equal(km_kube_lines_feed(l, copy, strlen(copy)), 0);
				free(copy);
			}
			assert_string_equal(km_buf_cstr(&heard.text), "one\ntwo\r\nfour\n");
			assert_int_equal(km_kube_lines_skipped(l), round + 1);
			/* what had no end is gone */
			km_kube_lines_reset(l);
		}
		heard.fail_at = heard.count + 1;
		assert_int_equal(km_kube_lines_feed(l, "a\nb\n", 4), -ENOMEM);
		km_kube_lines_free(l);
		km_buf_fini(&heard.text);
	}
}

static void events_are_read_or_refused(void **state)
{
	static const struct {
		const char *line;
		int type;                     /* -1 = refused */
		const char *object, *version; /* version NULL = none */
	} rows[] = {
		{ "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":\"5\"}}}",
		  KM_KUBE_LINE_ADDED, "{\"metadata\":{\"resourceVersion\":\"5\"}}", "\"5\"" },
		{ "{\"object\":{},\"type\":\"MODIFIED\"}", KM_KUBE_LINE_MODIFIED, "{}", NULL },
		{ " {\"type\":\"DELE\\u0054ED\",\"object\":{\"metadata\":{\"resourceVersion\":5}}} "
		  "\r",
		  KM_KUBE_LINE_DELETED, "{\"metadata\":{\"resourceVersion\":5}}", NULL },
		{ "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"9\"}},"
		  "\"x\":1}",
		  KM_KUBE_LINE_BOOKMARK, "{\"metadata\":{\"resourceVersion\":\"9\"}}", "\"9\"" },
		{ "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\"}}", KM_KUBE_LINE_ERROR,
		  "{\"kind\":\"Status\"}", NULL },
		{ "{\"type\":\"added\",\"object\":{}}", KM_KUBE_LINE_OTHER, "{}", NULL },
		{ "{\"type\":\"ADDED\"}", -1, NULL, NULL },
		{ "{\"type\":\"ADDED\",\"object\":null}", -1, NULL, NULL },
		{ "{\"type\":null,\"object\":{}}", -1, NULL, NULL },
		{ "{\"type\":\"ADDED\",\"object\":{}", -1, NULL, NULL },
		{ "{\"type\":\"ADDED\",\"object\":{}}}", -1, NULL, NULL },
		{ "{\"type\":\"ADDED\",\"object\":{}}{}", -1, NULL, NULL },
		{ "{\"type\":\"ADDED\",\"object\":{\"a\":\"\xff\"}}", -1, NULL, NULL },
		{ "[]", -1, NULL, NULL },
		{ "", -1, NULL, NULL },
		{ "garbage", -1, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		struct km_kube_line line;
		int rc = km_kube_line_decode(rows[i].line, strlen(rows[i].line), &line, &err);

		if (rows[i].type < 0) {
			assert_int_equal(rc, -EBADMSG);
			assert_memory_equal(err.text, "event: ", 7);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_int_equal(line.type, rows[i].type);
		assert_int_equal(line.object.len, strlen(rows[i].object));
		assert_memory_equal(line.object.text, rows[i].object, line.object.len);
		assert_int_equal(line.version.kind,
		                 rows[i].version != NULL ? KM_JSON_STRING : KM_JSON_ABSENT);
		if (rows[i].version != NULL) {
			assert_memory_equal(line.version.text, rows[i].version, line.version.len);
		}
	}
}

static void an_object_too_deep_for_us_is_skipped(void **state)
{
	struct heard heard = { .count = 0 };
	struct km_kube_list *l;
	struct km_buf text;

	(void)state;
	km_buf_init(&text);
	km_buf_str(&text, "{\"items\":[{\"a\":");
	for (int i = 0; i < 100000; i++)
		km_buf_char(&text, '[');
	for (int i = 0; i < 100000; i++)
		km_buf_char(&text, ']');
	km_buf_str(&text, "},{\"b\":2}],\"metadata\":{\"resourceVersion\":\"1\"}}");
	assert_int_equal(km_kube_list_create(1 << 20, on_piece, &heard, &l), 0);
	assert_int_equal(feed_list(l, km_buf_cstr(&text), 777, NULL), 0);
	assert_string_equal(km_buf_cstr(&heard.text), "{\"b\":2}\n");
	assert_int_equal(km_kube_list_skipped(l), 1);
	km_kube_list_free(l);
	km_buf_fini(&heard.text);
	km_buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_the_same_however_it_is_cut),
		cmocka_unit_test(what_is_no_whole_list_says_where),
		cmocka_unit_test(large_objects_are_skipped_and_their_owner_may_fail),
		cmocka_unit_test(lines_are_the_same_however_they_are_cut),
		cmocka_unit_test(events_are_read_or_refused),
		cmocka_unit_test(an_object_too_deep_for_us_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
