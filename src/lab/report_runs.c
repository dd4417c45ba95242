/* SPDX-License-Identifier: Apache-2.0 */
/* The report of an experiment's runs, from its folder. */
#include <stdio.h>

#include "km/experiment/run_result.h"

#include "lab_internal.h"
#include "lab_report.h"

static int show(const struct km_run_result *r, bool json)
{
	struct km_buf out;
	int code;

	km_buf_init(&out);
	if (json)
		km_run_result_json(r, &out);
	else
		km_run_result_text(r, &out);
	code = km_buf_ok(&out) && fwrite(out.data, 1, out.len, stdout) == out.len
	               ? KM_COMMAND_OK
	               : KM_COMMAND_FAILED;
	km_buf_fini(&out);
	return code;
}

static int write_page(const struct km_run_result *r, const char *dir, const char *path)
{
	struct km_err missing = { .code = 0 };
	struct km_buf page;
	int code;

	if (path == NULL)
		return KM_COMMAND_OK;
	km_buf_init(&page);
	code = km_run_result_html(r, dir, NULL, &page, &missing);
	code = km_lab_write_page(path, code, &page, &missing);
	km_buf_fini(&page);
	return code;
}

int km_lab_report_runs(const struct km_lab_reported *how)
{
	struct km_err err = { .code = 0 };
	struct km_run_result r;
	struct km_runs runs;
	int written;
	int code;

	if (km_runs_read(how->dir, &runs, &err) != 0)
		return km_lab_tell(&err);
	if (km_run_summarise(&runs, &r, &err) != 0) {
		(void)km_err_prefix(&err, "%.80s", how->dir);
		code = km_lab_tell(&err);
	} else {
		code = show(&r, how->json);
		written = write_page(&r, how->dir, how->html);
		code = code != KM_COMMAND_OK ? code : written;
		km_run_result_fini(&r);
	}
	km_runs_fini(&runs);
	return code;
}
