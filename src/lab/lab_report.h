/* SPDX-License-Identifier: Apache-2.0 */
/* What commands that end with a report share. */
#ifndef KM_LAB_REPORT_H
#define KM_LAB_REPORT_H

#include <stdbool.h>

#include "km/base/buf.h"
#include "km/base/err.h"

struct km_lab_reported {
	const char *dir;
	const char *html; /* where the page goes; NULL = nowhere */
	bool json;        /* on standard output, instead of text */
};

/* Reads the plays, prints, writes the page. returns an exit code; what is wrong is told. */
int km_lab_report_trial(const struct km_lab_reported *how);
/* The same of the runs of an experiment. */
int km_lab_report_runs(const struct km_lab_reported *how);

/*
 * Writes a page. rc, missing: of making it; missing->code says that it lacks plots. What is wrong
 * is told. returns an exit code.
 */
int km_lab_write_page(const char *path, int rc, const struct km_buf *page,
                      const struct km_err *missing);

#endif
