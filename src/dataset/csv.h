/* SPDX-License-Identifier: Apache-2.0 */
/* A CSV file with a header line, read line by line; fields by column name. RFC 4180 quotes. */
#ifndef KM_DATASET_CSV_H
#define KM_DATASET_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "km/base/err.h"
#include "km/core/name.h"

struct csv;

/* What a file must have, and may have. Position i here is field i of csv_next. */
struct csv_column {
	const char *name;
	bool optional; /* absent: its field is empty */
};

/*
 * Opens `path` and finds the columns. returns 0 and *out owned; -ENOENT, -EBADMSG naming the column
 * that is missing, -ENOMEM.
 */
int csv_open(const char *path, const struct csv_column *column, size_t column_count,
             struct csv **out, struct km_err *err) KM_MUST_CHECK;
void csv_close(struct csv *c);

/* returns 1 and field [column_count] (borrowed until the next call), 0 at the end, or -errno. */
int csv_next(struct csv *c, struct km_name *field, struct km_err *err) KM_MUST_CHECK;

/* -EBADMSG "FILE:LINE: COLUMN: saw \"...\", want ...". */
int csv_bad(const struct csv *c, size_t column, struct km_name field, const char *want,
            struct km_err *err);

/* A number from 0 to FLT_MAX, or NaN for an empty field. returns 0 or csv_bad's. */
int csv_number(const struct csv *c, size_t column, struct km_name field, double *out,
               struct km_err *err) KM_MUST_CHECK;

#endif
