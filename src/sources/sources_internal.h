/* SPDX-License-Identifier: Apache-2.0 */
/* Inside sources: what PCM's columns mean to us, and its date and time. */
#ifndef KM_SOURCES_INTERNAL_H
#define KM_SOURCES_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/base/macros.h"
#include "km/sources/source.h"

/* 1,024 cores of the fullest PCM build have some 45,000. */
#define KM_PCM_COLUMNS_MAX 65536

enum km_pcm_field {
	KM_PCM_SKIP,
	KM_PCM_DATE,
	KM_PCM_TIME,
	KM_PCM_IPC, /* this and the next: of one core */
	KM_PCM_L3MISS,
	KM_PCM_L2MISS,
	KM_PCM_C0,
	KM_PCM_C1,
	KM_PCM_C6,
	KM_PCM_C_OTHER,
	KM_PCM_INST,
	KM_PCM_ACYC,
	KM_PCM_READ, /* this and the next: of the whole system */
	KM_PCM_WRITE,
	KM_PCM_SOCKET_READ, /* this and the next: of one socket */
	KM_PCM_SOCKET_WRITE,
	KM_PCM_SOCKET_L3OCC,
	KM_PCM_FIELD_N,
};

struct km_pcm_column {
	uint16_t cpu; /* of a core's fields */
	uint8_t field;
};

struct km_pcm_header {
	struct km_pcm_column *column; /* [column_count] */
	uint32_t column_count;        /* up to the last one with a name */
	uint32_t cpu_count;
	bool has[KM_PCM_FIELD_N];
	char separator; /* ',' or, in old versions, ';' */
};

/* What a line is, before or after a header was seen. */
enum km_pcm_line { KM_PCM_LINE_OTHER, KM_PCM_LINE_DOMAINS, KM_PCM_LINE_MERGED };
enum km_pcm_line km_pcm_header_line(const char *line, size_t len);

/*
 * Reads a header into h, which keeps its memory between calls: `domains` is the first line of the
 * two-line form, NULL for a merged one.
 * returns 0; -EBADMSG, -E2BIG, -ENOMEM with the reason.
 */
int km_pcm_header_parse(struct km_pcm_header *h, const struct km_buf *domains, const char *line,
                        size_t len, struct km_err *err) KM_MUST_CHECK;
void km_pcm_header_fini(struct km_pcm_header *h);

/* One field of a line, blanks trimmed. */
struct km_pcm_text {
	const char *at;
	size_t len;
};

/* Cuts the next field off [*at, end). returns false when none is left; *at = NULL at the end. */
bool km_pcm_next_field(const char **at, const char *end, char separator, struct km_pcm_text *out);

/*
 * "2025-07-01" and "07:21:15.648" (fraction optional) to ns since 1970, as if UTC: PCM prints local
 * time without a zone, and only differences matter. returns 0 or -EINVAL.
 */
int km_pcm_time_parse(struct km_pcm_text date, struct km_pcm_text time,
                      int64_t *out_ns) KM_MUST_CHECK;

/* The rows, each in a file of its name. */
extern const struct km_source_ops km_source_pcm, km_source_pcm_server, km_source_perf,
	km_source_resctrl, km_source_os, km_source_replay;

#endif
