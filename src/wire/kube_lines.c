/* SPDX-License-Identifier: Apache-2.0 */
/* A watch's lines, and the event in one. */
#include <errno.h>
#include <stdlib.h>

#include "km/base/buf.h"
#include "km/wire/kube_stream.h"

#include "kube_internal.h"

struct km_kube_lines {
	struct km_buf kept; /* of a line that has not ended yet */
	size_t max_bytes;
	bool too_large; /* so is the line that has not ended: dropped up to its end */
	km_kube_piece_fn *line;
	void *ctx;
	uint64_t skipped;
};

int km_kube_lines_create(size_t line_max_bytes, km_kube_piece_fn *line, void *ctx,
                         struct km_kube_lines **out)
{
	struct km_kube_lines *l = calloc(1, sizeof(*l));

	*out = l;
	if (l == NULL)
		return -ENOMEM;
	l->max_bytes = line_max_bytes;
	l->line = line;
	l->ctx = ctx;
	return 0;
}

void km_kube_lines_free(struct km_kube_lines *l)
{
	if (l == NULL)
		return;
	km_buf_fini(&l->kept);
	free(l);
}

void km_kube_lines_reset(struct km_kube_lines *l)
{
	km_buf_clear(&l->kept);
	l->too_large = false;
}

/* `part` is the rest of a line that ends here. */
static int end_line(struct km_kube_lines *l, const char *part, size_t len)
{
	int rc = 0;

	if (l->too_large || len > l->max_bytes - l->kept.len) {
		l->skipped++;
	} else if (l->kept.len == 0) {
		rc = len > 0 ? l->line(l->ctx, part, len) : 0;
	} else {
		km_buf_append(&l->kept, part, len);
		rc = km_buf_ok(&l->kept) ? l->line(l->ctx, l->kept.data, l->kept.len) : -ENOMEM;
	}
	km_kube_lines_reset(l);
	return rc;
}

int km_kube_lines_feed(struct km_kube_lines *l, const char *bytes, size_t len)
{
	const char *end = bytes + len;

	while (bytes < end) {
		const char *lf = memchr(bytes, '\n', (size_t)(end - bytes));
		int rc;

		if (lf == NULL)
			break;
		rc = end_line(l, bytes, (size_t)(lf - bytes));
		if (rc < 0)
			return rc;
		bytes = lf + 1;
	}
	len = (size_t)(end - bytes);
	if (l->too_large || len > l->max_bytes - l->kept.len) {
		km_buf_clear(&l->kept);
		l->too_large = true;
		return 0;
	}
	km_buf_append(&l->kept, bytes, len);
	return km_buf_ok(&l->kept) ? 0 : -ENOMEM;
}

uint64_t km_kube_lines_skipped(const struct km_kube_lines *l)
{
	return l->skipped;
}

static enum km_kube_line_type type_of(const struct km_json_slice *type)
{
	static const struct {
		const char *text;
		enum km_kube_line_type type;
	} known[] = {
		{ "MODIFIED", KM_KUBE_LINE_MODIFIED }, { "ADDED", KM_KUBE_LINE_ADDED },
		{ "DELETED", KM_KUBE_LINE_DELETED },   { "BOOKMARK", KM_KUBE_LINE_BOOKMARK },
		{ "ERROR", KM_KUBE_LINE_ERROR },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(known); i++) {
		if (km_wire_kube_text_is(type, known[i].text))
			return known[i].type;
	}
	return KM_KUBE_LINE_OTHER;
}

int km_kube_line_decode(const char *line, size_t len, struct km_kube_line *out, struct km_err *err)
{
	struct km_json_slice type;
	struct km_json_slice metadata;
	const struct km_json_want in_line[] = { { "type", &type }, { "object", &out->object } };
	const struct km_json_want in_object[] = { { "metadata", &metadata } };
	const struct km_json_want in_metadata[] = { { "resourceVersion", &out->version } };
	struct km_err why = { .code = 0 };
	struct km_scan s;

	km_scan_init(&s, line, len, KM_KUBE_DEPTH_MAX + 1, &why);
	if (km_scan_members(&s, in_line, KM_ARRAY_LEN(in_line), false) != 0)
		return km_err_set(err, EBADMSG, "event: %s", why.text);
	if (km_scan_peek(&s) != KM_JSON_ABSENT || s.p != s.end)
		return km_err_set(err, EBADMSG, "event: byte %zu: saw more, want the line's end",
		                  (size_t)(s.p - s.start));
	if (type.kind != KM_JSON_STRING || out->object.kind != KM_JSON_OBJECT) {
		return km_err_set(err, EBADMSG,
		                  "event: saw type %s and object %s, want a string and an object",
		                  km_json_kind_name(type.kind),
		                  km_json_kind_name(out->object.kind));
	}
	out->type = type_of(&type);
	km_wire_members(&out->object, in_object, KM_ARRAY_LEN(in_object));
	km_wire_members(&metadata, in_metadata, KM_ARRAY_LEN(in_metadata));
	if (out->version.kind != KM_JSON_STRING)
		out->version = (struct km_json_slice){ .kind = KM_JSON_ABSENT };
	return 0;
}
