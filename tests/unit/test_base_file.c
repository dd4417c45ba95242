/* SPDX-License-Identifier: Apache-2.0 */
/* base's files: whole, by line, plain, gzip, growing, corrupt; each in a directory of its own. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "km/base/file.h"

static char directory[64];
static char path[PATH_MAX];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/test-base-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(directory); /* fails when a test left a temporary file behind */
}

static void put(const char *mode, const void *bytes, size_t len)
{
	FILE *file = fopen(path, mode);

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void put_gzip(const char *text)
{
	gzFile gz = gzopen(path, "wb");

	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, text, (unsigned)strlen(text)), (int)strlen(text));
	assert_int_equal(gzclose(gz), Z_OK);
}

static struct km_lines *opened(size_t max_line_bytes)
{
	struct km_lines *l = NULL;
	struct km_err err;

	assert_int_equal(km_lines_open(path, max_line_bytes, &l, &err), 0);
	return l;
}

static void expect(struct km_lines *l, int want_rc, const char *want, size_t number)
{
	struct km_err err = { .code = 0 };
	const char *line = NULL;
	size_t len = 0;
	int rc = km_lines_next(l, &line, &len, &err);

	if (rc != want_rc)
		fail_msg("rc %d, want %d: %s", rc, want_rc, err.text);
	if (want) {
		assert_string_equal(line, want);
		assert_int_equal(len, strlen(want));
		assert_int_equal(km_lines_number(l), number);
	}
}

static void lines_end_in_lf_crlf_or_nothing(void **state)
{
	struct km_lines *l;

	(void)state;
	put("w", "a\nb\r\n\n\r\nlast", 12);
	for (int round = 0; round < 2; round++) {
		l = opened(100);
		for (int again = 0; again < 2; again++) {
			expect(l, KM_LINE_OK, "a", 1);
			expect(l, KM_LINE_OK, "b", 2);
			expect(l, KM_LINE_OK, "", 3);
			expect(l, KM_LINE_OK, "", 4);
			expect(l, KM_LINE_PART, "last", 5);
			expect(l, KM_LINE_END, NULL, 0);
			assert_int_equal(km_lines_rewind(l, NULL), 0);
		}
		km_lines_close(l);
		put_gzip("a\nb\r\n\n\r\nlast");
	}
}

static void growing_file_is_read_on(void **state)
{
	struct km_lines *l;

	(void)state;
	put("w", "", 0);
	l = opened(100);
	expect(l, KM_LINE_END, NULL, 0);
	put("a", "o", 1);
	expect(l, KM_LINE_PART, "o", 1);
	put("a", "ne\ntw", 5);
	expect(l, KM_LINE_OK, "one", 1);
	expect(l, KM_LINE_PART, "tw", 2);
	expect(l, KM_LINE_END, NULL, 0);
	put("a", "o", 1);
	expect(l, KM_LINE_PART, "two", 2);
	put("a", "\r\n", 2);
	expect(l, KM_LINE_OK, "two", 2);
	expect(l, KM_LINE_END, NULL, 0);
	km_lines_close(l);
}

static void line_over_the_limit_is_skipped(void **state)
{
	static char big[200000];
	struct km_lines *l;

	(void)state;
	memset(big, 'x', sizeof(big));
	put("w", "0123456789\r\n", 12);
	put("a", "0123456789a\n", 12);
	put("a", big, sizeof(big));
	put("a", "\nnext\n", 6);
	l = opened(10);
	expect(l, KM_LINE_OK, "0123456789", 1);
	expect(l, -EMSGSIZE, NULL, 0);
	assert_int_equal(km_lines_number(l), 2);
	expect(l, -EMSGSIZE, NULL, 0);
	assert_int_equal(km_lines_number(l), 3);
	expect(l, KM_LINE_OK, "next", 4);
	expect(l, KM_LINE_END, NULL, 0);
	km_lines_close(l);
}

static void long_lines_cross_buffers_whole(void **state)
{
	enum { LEN = 150000 };
	static char big[LEN + 1];
	struct km_lines *l;

	(void)state;
	memset(big, 'x', LEN);
	put("w", "first\n", 6);
	put("a", big, LEN);
	put("a", "\nend\n", 5);
	l = opened(LEN);
	expect(l, KM_LINE_OK, "first", 1);
	expect(l, KM_LINE_OK, big, 2);
	expect(l, KM_LINE_OK, "end", 3);
	km_lines_close(l);
}

static void broken_gzip_is_an_error_after_its_good_lines(void **state)
{
	static char text[400000];
	static unsigned char raw[400000];
	struct km_lines *l;
	struct km_buf b;
	struct km_err err;
	const char *line;
	size_t size;
	size_t len;
	size_t good = 0;
	int rc;
	FILE *file;

	(void)state;
	for (size_t i = 0; i + 8 < sizeof(text); i += 8)
		(void)snprintf(text + i, 9, "%07zu\n", i * 7919 % 10000000);
	put_gzip(text);
	file = fopen(path, "rb");
	assert_non_null(file);
	size = fread(raw, 1, sizeof(raw), file);
	(void)fclose(file);
	assert_true(size > 100 && size < sizeof(raw));
	put("wb", raw, size - 20);

	l = opened(100);
	while ((rc = km_lines_next(l, &line, &len, &err)) == KM_LINE_OK)
		good++;
	assert_int_equal(rc, -EBADMSG);
	assert_non_null(strstr(err.text, "ends early"));
	assert_true(good > 1000);
	assert_int_equal(km_lines_next(l, &line, &len, &err), -EBADMSG);
	km_lines_close(l);

	raw[size / 2] ^= 0xff;
	put("wb", raw, size);
	km_buf_init(&b);
	km_buf_str(&b, "kept");
	assert_int_equal(km_file_read(path, 1 << 20, &b, &err), -EBADMSG);
	assert_string_equal(km_buf_cstr(&b), "kept");
	km_buf_fini(&b);
}

static void whole_file_reads_up_to_its_limit(void **state)
{
	struct km_err err;
	struct km_buf b;

	(void)state;
	km_buf_init(&b);
	assert_int_equal(km_file_read(path, 100, &b, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(km_file_read(directory, 100, &b, &err), -EISDIR);
	put_gzip("0123456789");
	assert_int_equal(km_file_read(path, 9, &b, &err), -EFBIG);
	assert_int_equal(b.len, 0);
	assert_int_equal(km_file_read(path, 10, &b, &err), 0);
	assert_string_equal(km_buf_cstr(&b), "0123456789");
	km_buf_fini(&b);
}

static void atomic_write_replaces_whole_and_heeds_umask(void **state)
{
	mode_t old_umask = umask(022);
	struct km_err err;
	struct km_buf b;
	struct stat st;

	(void)state;
	km_buf_init(&b);
	assert_int_equal(km_file_write_atomic(path, "old text", 8, &err), 0);
	assert_int_equal(km_file_write_atomic(path, "new", 3, &err), 0);
	assert_int_equal(km_file_read(path, 100, &b, &err), 0);
	assert_string_equal(km_buf_cstr(&b), "new");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(km_file_write_atomic("/nowhere/file", "x", 1, &err), -ENOENT);
	/* A directory cannot be replaced by a file: the temporary one must go. */
	assert_int_equal(km_file_write_atomic(directory, "x", 1, &err), -EISDIR);
	(void)umask(old_umask);
	km_buf_fini(&b);
}

static void packed_bytes_are_the_same_each_time_and_read_back(void **state)
{
	static char text[300000];
	struct km_buf packed[2];
	struct km_buf back;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('0' + (i * i / 7) % 10);
	km_buf_init(&back);
	for (size_t i = 0; i < 2; i++) {
		km_buf_init(&packed[i]);
		assert_int_equal(km_gz_pack(text, sizeof(text), &packed[i], NULL), 0);
	}
	assert_true(packed[0].len < sizeof(text) && packed[0].len == packed[1].len);
	assert_memory_equal(packed[0].data, packed[1].data, packed[0].len);
	assert_memory_equal(packed[0].data + 4, "\0\0\0\0", 4); /* no time of day */
	put("w", packed[0].data, packed[0].len);
	assert_int_equal(km_file_read(path, sizeof(text), &back, NULL), 0);
	assert_int_equal(back.len, sizeof(text));
	assert_memory_equal(back.data, text, sizeof(text));
	km_buf_clear(&back);
	km_buf_clear(&packed[0]);
	assert_int_equal(km_gz_pack("", 0, &packed[0], NULL), 0);
	put("w", packed[0].data, packed[0].len);
	assert_int_equal(km_file_read(path, 10, &back, NULL), 0);
	assert_int_equal(back.len, 0);
	km_buf_fini(&back);
	km_buf_fini(&packed[0]);
	km_buf_fini(&packed[1]);
}

#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(packed_bytes_are_the_same_each_time_and_read_back),
		FILE_TEST(lines_end_in_lf_crlf_or_nothing),
		FILE_TEST(growing_file_is_read_on),
		FILE_TEST(line_over_the_limit_is_skipped),
		FILE_TEST(long_lines_cross_buffers_whole),
		FILE_TEST(broken_gzip_is_an_error_after_its_good_lines),
		FILE_TEST(whole_file_reads_up_to_its_limit),
		FILE_TEST(atomic_write_replaces_whole_and_heeds_umask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
