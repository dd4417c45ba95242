/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list and a watch out of the same bytes, cut where the first byte says. Both have to say the
 * same as when all comes at once; what is handed on has to be one whole JSON value, within its
 * bound.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/buf.h"
#include "km/wire/kube_objects.h"
#include "km/wire/kube_stream.h"

#define OBJECT_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct heard {
	struct km_buf text;
	int rc; /* of the feeding, or the end */
	uint64_t skipped;
	char version[64], token[64];
};

static void must(int condition)
{
	if (!condition)
		abort();
}

static int on_object(void *ctx, const char *text, size_t len)
{
	struct heard *h = ctx;
	struct km_scan s;

	must(len > 0 && len <= OBJECT_MAX);
	km_scan_init(&s, text, len, KM_KUBE_DEPTH_MAX, NULL);
	must(km_scan_value(&s, NULL) == 0 && s.p == s.end);
	km_buf_append(&h->text, text, len);
	km_buf_char(&h->text, '\n');
	return 0;
}

static int on_line(void *ctx, const char *text, size_t len)
{
	struct heard *h = ctx;
	struct km_kube_line line;
	struct km_err err = { .code = 0 };
	int rc = km_kube_line_decode(text, len, &line, &err);

	must(len > 0 && len <= OBJECT_MAX && memchr(text, '\n', len) == NULL);
	must(rc == 0 ? line.object.kind == KM_JSON_OBJECT && line.object.text > text &&
	                       line.object.text + line.object.len < text + len
	             : rc == -EBADMSG && err.text[0] != '\0');
	km_buf_append(&h->text, text, len);
	km_buf_char(&h->text, '\n');
	return 0;
}

static void feed_list(struct heard *h, const char *bytes, size_t len, size_t piece)
{
	struct km_kube_list *l;
	struct km_err err = { .code = 0 };

	must(km_kube_list_create(OBJECT_MAX, on_object, h, &l) == 0);
	for (size_t at = 0; at < len && h->rc == 0; at += piece)
		h->rc = km_kube_list_feed(l, bytes + at, len - at < piece ? len - at : piece, &err);
	if (h->rc == 0)
		h->rc = km_kube_list_end(l, &err);
	must(h->rc == 0 || (h->rc == -EBADMSG && err.text[0] != '\0'));
	h->skipped = km_kube_list_skipped(l);
	if (h->rc == 0) {
		strncpy(h->version, km_kube_list_version(l), sizeof(h->version) - 1);
		strncpy(h->token, km_kube_list_continue(l), sizeof(h->token) - 1);
	}
	km_kube_list_free(l);
}

static void feed_lines(struct heard *h, const char *bytes, size_t len, size_t piece)
{
	struct km_kube_lines *l;

	must(km_kube_lines_create(OBJECT_MAX, on_line, h, &l) == 0);
	for (size_t at = 0; at < len && h->rc == 0; at += piece)
		h->rc = km_kube_lines_feed(l, bytes + at, len - at < piece ? len - at : piece);
	must(h->rc == 0);
	h->skipped = km_kube_lines_skipped(l);
	km_kube_lines_free(l);
}

static void compare(void (*feed)(struct heard *, const char *, size_t, size_t), const char *bytes,
                    size_t len, size_t piece)
{
	struct heard whole = { .rc = 0 };
	struct heard cut = { .rc = 0 };

	feed(&whole, bytes, len, len > 0 ? len : 1);
	feed(&cut, bytes, len, piece);
	must(whole.rc == cut.rc && whole.skipped == cut.skipped);
	must(whole.text.len == cut.text.len &&
	     (cut.text.len == 0 || memcmp(whole.text.data, cut.text.data, cut.text.len) == 0));
	must(strcmp(whole.version, cut.version) == 0 && strcmp(whole.token, cut.token) == 0);
	km_buf_fini(&whole.text);
	km_buf_fini(&cut.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data + 1;

	if (size == 0)
		return 0;
	compare(feed_list, bytes, size - 1, data[0] + 1u);
	compare(feed_lines, bytes, size - 1, data[0] + 1u);
	return 0;
}
