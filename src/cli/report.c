/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands that judge have in common: a report on standard output, and as a page. */
#include <errno.h>
#include <stdio.h>

#include "km/base/file.h"

#include "cli_internal.h"

int km_cli_show(const struct km_buf *report)
{
	return km_buf_ok(report) && fwrite(report->data, 1, report->len, stdout) == report->len
	               ? KM_COMMAND_OK
	               : KM_COMMAND_FAILED;
}

int km_cli_write_page(const char *path, int rc, const struct km_buf *page,
                      const struct km_err *missing)
{
	struct km_err err = { .code = 0 };

	if (rc != 0)
		(void)km_err_set(&err, ENOMEM, "%s: out of memory", path);
	else
		rc = km_file_write_atomic(path, page->data, page->len, &err);
	if (rc != 0) {
		fprintf(stderr, "kubemarla: %s\n", err.text);
		return KM_COMMAND_FAILED;
	}
	if (missing->code == ENOENT)
		fprintf(stderr, "kubemarla: %s has no plots: %s (Debian package gnuplot-nox)\n",
		        path, missing->text);
	else if (missing->code != 0)
		fprintf(stderr, "kubemarla: %s lacks plots: %s\n", path, missing->text);
	fprintf(stderr, "kubemarla: wrote %s\n", path);
	return KM_COMMAND_OK;
}
