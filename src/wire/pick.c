/* SPDX-License-Identifier: Apache-2.0 */
/* Single values out of a JSON text, on top of the scanner. */
#include "km/wire/pick.h"

#include <errno.h>
#include <string.h>

#include "km/base/num.h"

#define DEPTH 128

int km_json_whole(const char *text, size_t len, struct km_json_slice *out, struct km_err *err)
{
	struct km_scan s;
	int rc;

	*out = (struct km_json_slice){ .kind = KM_JSON_ABSENT };
	km_scan_init(&s, text, len, DEPTH, err);
	rc = km_scan_value(&s, out);
	if (rc == 0 && (km_scan_peek(&s) != KM_JSON_ABSENT || s.p != s.end))
		rc = km_err_set(err, EINVAL, "JSON: something follows the value");
	if (rc != 0)
		*out = (struct km_json_slice){ .kind = KM_JSON_ABSENT };
	return rc;
}

static struct km_json_slice member(const struct km_json_slice *from, const char *key, size_t len)
{
	struct km_json_slice found = { .kind = KM_JSON_ABSENT };
	struct km_json_slice value;
	struct km_json_slice name;
	struct km_scan s;
	char wanted[128];

	if (from->kind != KM_JSON_OBJECT || len >= sizeof(wanted))
		return found;
	memcpy(wanted, key, len);
	wanted[len] = '\0';
	km_scan_init(&s, from->text, from->len, DEPTH, NULL);
	if (km_scan_object(&s) != 0)
		return found;
	while (km_scan_member(&s, &name) == KM_SCAN_MORE) {
		if (km_scan_value(&s, &value) != 0)
			break;
		if (km_json_key_is(&name, wanted, false))
			found = value;
	}
	return found;
}

struct km_json_slice km_json_pick(const struct km_json_slice *from, const char *path)
{
	struct km_json_slice at = *from;

	for (;;) {
		size_t len = strcspn(path, "/");

		at = member(&at, path, len);
		if (path[len] == '\0')
			return at;
		path += len + 1;
	}
}

const char *km_json_text(const struct km_json_slice *slice, char *out, size_t out_size)
{
	char whole[4096];
	size_t len;

	out[0] = '\0';
	if (slice->kind != KM_JSON_STRING || slice->len > sizeof(whole))
		return out;
	len = km_json_unescape(slice, whole);
	if (len >= out_size)
		len = out_size - 1;
	memcpy(out, whole, len);
	out[len] = '\0';
	return out;
}

const char *km_json_pick_text(const struct km_json_slice *from, const char *path, char *out,
                              size_t out_size)
{
	const struct km_json_slice slice = km_json_pick(from, path);

	return km_json_text(&slice, out, out_size);
}

int64_t km_json_pick_integer(const struct km_json_slice *from, const char *path, int64_t preset)
{
	const struct km_json_slice slice = km_json_pick(from, path);
	int64_t value;

	if (slice.kind != KM_JSON_NUMBER || km_num_int(slice.text, slice.len, &value) != 0)
		return preset;
	return value;
}

struct km_json_items km_json_items(const struct km_json_slice *list)
{
	struct km_json_items items = { .over = list->kind != KM_JSON_ARRAY };

	if (!items.over) {
		km_scan_init(&items.scan, list->text, list->len, DEPTH, NULL);
		items.over = km_scan_array(&items.scan) != 0;
	}
	return items;
}

bool km_json_next(struct km_json_items *items, struct km_json_slice *item)
{
	if (!items->over && (km_scan_element(&items->scan) != KM_SCAN_MORE ||
	                     km_scan_value(&items->scan, item) != 0))
		items->over = true;
	return !items->over;
}
