/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single values out of a JSON text by their path, for who reads an answer once and wants little of
 * it. Nothing is built: each pick walks the text anew. Borrowed slices; any thread.
 */
#ifndef KM_WIRE_PICK_H
#define KM_WIRE_PICK_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/wire/scan.h"

/* The whole text as one checked value. returns 0, or -EINVAL with what is wrong and where. */
int km_json_whole(const char *text, size_t len, struct km_json_slice *out,
                  struct km_err *err) KM_MUST_CHECK;

/*
 * The value at a path of keys with '/' between them ("spec/template/spec"); absent when one of them
 * is. Of doubled keys the last.
 */
struct km_json_slice km_json_pick(const struct km_json_slice *from, const char *path);

/* A string, decoded and cut to fit with its NUL; "" for everything else. returns out. */
const char *km_json_text(const struct km_json_slice *slice, char *out, size_t out_size);
/* km_json_text of km_json_pick. */
const char *km_json_pick_text(const struct km_json_slice *from, const char *path, char *out,
                              size_t out_size);
/* A whole number, or `preset` for everything else. */
int64_t km_json_pick_integer(const struct km_json_slice *from, const char *path, int64_t preset);

/*
 *	struct km_json_items items = km_json_items(&list);
 *	while (km_json_next(&items, &item))
 * over the values of an array; over none of anything else.
 */
struct km_json_items {
	struct km_scan scan;
	bool over;
};
struct km_json_items km_json_items(const struct km_json_slice *list);
bool km_json_next(struct km_json_items *items, struct km_json_slice *item);

#endif
