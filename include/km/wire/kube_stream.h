/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two streams of the Kubernetes API, cut into objects as their bytes come, at any byte:
 *
 *   a list   {"kind":"PodList","metadata":{...},"items":[{...},{...}]}   members in any order
 *   a watch  {"type":"ADDED","object":{...}}\n ...
 *
 * Memory is that of one object, and none where a whole object lies in what was fed. One thread at a
 * time.
 */
#ifndef KM_WIRE_KUBE_STREAM_H
#define KM_WIRE_KUBE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/wire/scan.h"

/*
 * One object or line: len bytes, borrowed for the call. What it returns below 0 ends the feeding
 * and is returned there.
 */
typedef int km_kube_piece_fn(void *ctx, const char *text, size_t len);

struct km_kube_list;

/* object_max_bytes: larger ones are skipped and counted. returns 0 and *out owned, or -ENOMEM. */
int km_kube_list_create(size_t object_max_bytes, km_kube_piece_fn *object, void *ctx,
                        struct km_kube_list **out) KM_MUST_CHECK;
void km_kube_list_free(struct km_kube_list *l); /* NULL allowed */

/* Another list (page) begins; what was skipped is counted on. */
void km_kube_list_reset(struct km_kube_list *l);

/*
 * Objects are handed on once they are whole and well-formed; one that is not well-formed between
 * its braces is skipped and counted. returns 0; -EBADMSG when the bytes are no list; -ENOMEM; or
 * what the object function said. After an error only _reset and _free are allowed.
 */
int km_kube_list_feed(struct km_kube_list *l, const char *bytes, size_t len,
                      struct km_err *err) KM_MUST_CHECK;

/* The bytes are over. returns 0 when the list was whole, else -EBADMSG. */
int km_kube_list_end(const struct km_kube_list *l, struct km_err *err) KM_MUST_CHECK;

/* After _end said 0: metadata.resourceVersion, and metadata.continue or "". Borrowed until reset.
 */
const char *km_kube_list_version(const struct km_kube_list *l);
const char *km_kube_list_continue(const struct km_kube_list *l);

/* Objects too large or not well-formed, over all lists. */
uint64_t km_kube_list_skipped(const struct km_kube_list *l);

struct km_kube_lines;

/* Lines without their LF; empty ones are left out. As above otherwise. */
int km_kube_lines_create(size_t line_max_bytes, km_kube_piece_fn *line, void *ctx,
                         struct km_kube_lines **out) KM_MUST_CHECK;
void km_kube_lines_free(struct km_kube_lines *l); /* NULL allowed */
void km_kube_lines_reset(struct km_kube_lines *l);
/* returns 0, -ENOMEM, or what the line function said. A last line without LF is never handed on. */
int km_kube_lines_feed(struct km_kube_lines *l, const char *bytes, size_t len) KM_MUST_CHECK;
uint64_t km_kube_lines_skipped(const struct km_kube_lines *l);

enum km_kube_line_type {
	KM_KUBE_LINE_OTHER, /* a type that nobody here has heard of */
	KM_KUBE_LINE_ADDED,
	KM_KUBE_LINE_MODIFIED,
	KM_KUBE_LINE_DELETED,
	KM_KUBE_LINE_BOOKMARK,
	KM_KUBE_LINE_ERROR, /* the object is a v1.Status */
};

struct km_kube_line {
	enum km_kube_line_type type;
	struct km_json_slice object;  /* borrowed from the line, checked */
	struct km_json_slice version; /* its metadata.resourceVersion; absent when it has none */
};

/* returns 0, or -EBADMSG when it is no event at all. */
int km_kube_line_decode(const char *line, size_t len, struct km_kube_line *out,
                        struct km_err *err) KM_MUST_CHECK;

#endif
