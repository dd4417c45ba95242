/* SPDX-License-Identifier: Apache-2.0 */
/* A trial's report from its folder: for `report`, and at the end of `trial`. */
#include <errno.h>
#include <stdio.h>

#include "km/base/file.h"
#include "km/experiment/trial_report.h"

#include "lab_internal.h"
#include "lab_report.h"

int km_lab_write_page(const char *path, int rc, const struct km_buf *page,
                      const struct km_err *missing)
{
	struct km_err err = { .code = 0 };

	if (rc != 0)
		(void)km_err_set(&err, ENOMEM, "%s: out of memory", path);
	else
		rc = km_file_write_atomic(path, page->data, page->len, &err);
	if (rc != 0)
		return km_lab_tell(&err);
	if (missing->code == ENOENT)
		fprintf(stderr, "kubemarla-lab: %s has no plots: %s (Debian package gnuplot-nox)\n",
		        path, missing->text);
	else if (missing->code != 0)
		fprintf(stderr, "kubemarla-lab: %s lacks plots: %s\n", path, missing->text);
	fprintf(stderr, "kubemarla-lab: wrote %s\n", path);
	return KM_COMMAND_OK;
}

static int show(const struct km_trial_result *r, const struct km_trial_setup *setup,
                const char *command, bool json)
{
	struct km_buf out;
	int code;

	km_buf_init(&out);
	if (json)
		km_trial_result_json(r, &out);
	else
		km_trial_result_text(r, setup, command, &out);
	code = km_buf_ok(&out) && fwrite(out.data, 1, out.len, stdout) == out.len
	               ? KM_COMMAND_OK
	               : KM_COMMAND_FAILED;
	km_buf_fini(&out);
	return code;
}

static int write_page(const struct km_trial_result *r, const struct km_trial_setup *setup,
                      const char *dir, const char *command, const char *path)
{
	struct km_err missing = { .code = 0 };
	struct km_buf page;
	int code;

	if (path == NULL)
		return KM_COMMAND_OK;
	km_buf_init(&page);
	code = km_trial_result_html(r, setup, dir, command, NULL, &page, &missing);
	code = km_lab_write_page(path, code, &page, &missing);
	km_buf_fini(&page);
	return code;
}

int km_lab_report_trial(const struct km_lab_reported *how)
{
	struct km_err err = { .code = 0 };
	struct km_trial_setup setup;
	struct km_trial_result r;
	struct km_plays plays;
	struct km_buf command;
	int written;
	int code;

	if (km_plays_read(how->dir, &plays, &err) != 0)
		return km_lab_tell(&err);
	if (km_trial_summarise(&plays, &r, &err) != 0) {
		(void)km_err_prefix(&err, "%.80s", how->dir);
		code = km_lab_tell(&err);
	} else {
		km_trial_setup_read(how->dir, &setup);
		km_buf_init(&command);
		km_buf_str(&command, "kubemarla-lab report ");
		km_lab_put_word(&command, how->dir);
		code = show(&r, &setup, km_buf_cstr(&command), how->json);
		written = write_page(&r, &setup, how->dir, km_buf_cstr(&command), how->html);
		code = code != KM_COMMAND_OK ? code : written;
		km_buf_fini(&command);
		km_trial_result_fini(&r);
	}
	km_plays_fini(&plays);
	return code;
}
