/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a text that was scanned once, read again. */
#include <errno.h>

#include "wire_internal.h"

#define LABELS_MAX   256 /* of one object; few have more than a dozen */
#define LABELS_FIRST 16

void km_wire_members(const struct km_json_slice *object, const struct km_json_want *want,
                     size_t count)
{
	struct km_scan s;

	km_scan_init(&s, object->text, object->len, KM_SCAN_DEPTH_MAX, NULL);
	if (object->kind == KM_JSON_OBJECT && km_scan_members(&s, want, count, false) == 0)
		return;
	for (size_t i = 0; i < count; i++)
		*want[i].value = (struct km_json_slice){ .kind = KM_JSON_ABSENT };
}

int km_wire_text(const struct km_json_slice *slice, struct km_arena *arena, struct km_name *out)
{
	char *decoded;

	*out = (struct km_name){ .text = "", .len = 0 };
	if (slice->kind != KM_JSON_STRING || slice->len > UINT32_MAX)
		return 0;
	if (!slice->escaped) {
		*out = (struct km_name){ slice->text + 1, (uint32_t)(slice->len - 2) };
		return 0;
	}
	decoded = km_arena_alloc(arena, slice->len);
	if (!decoded)
		return -ENOMEM;
	*out = (struct km_name){ decoded, (uint32_t)km_json_unescape(slice, decoded) };
	return 0;
}

bool km_wire_enter(struct km_scan *s, const struct km_json_slice *slice, enum km_json_kind kind)
{
	km_scan_init(s, slice->text, slice->len, KM_SCAN_DEPTH_MAX, NULL);
	if (slice->kind != kind)
		return false;
	return (kind == KM_JSON_OBJECT ? km_scan_object(s) : km_scan_array(s)) == 0;
}

int km_wire_labels(const struct km_json_slice *labels, struct km_arena *arena,
                   const struct km_label **out, size_t *count)
{
	struct km_json_slice key = { 0 };
	struct km_json_slice value;
	struct km_label *label = NULL;
	struct km_scan s;
	size_t room = 0;
	int rc = 0;

	*out = NULL;
	*count = 0;
	if (!km_wire_enter(&s, labels, KM_JSON_OBJECT))
		return 0;
	while (rc == 0 && *count < LABELS_MAX && km_scan_member(&s, &key) == KM_SCAN_MORE &&
	       km_scan_value(&s, &value) == 0) {
		if (value.kind != KM_JSON_STRING)
			continue;
		if (*count == room) {
			struct km_label *more;

			room = room > 0 ? LABELS_MAX : LABELS_FIRST;
			more = km_arena_alloc(arena, room * sizeof(*more));
			if (!more)
				return -ENOMEM;
			if (*count > 0)
				memcpy(more, label, *count * sizeof(*more));
			label = more;
		}
		rc = km_wire_text(&key, arena, &label[*count].key);
		if (rc == 0)
			rc = km_wire_text(&value, arena, &label[*count].value);
		*count += rc == 0;
	}
	*out = label;
	return rc;
}
