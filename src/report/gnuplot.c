/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gnuplot as a child: the script is a file in memory, so it never waits for us; what it writes is
 * read up to a limit, until a deadline, and whatever goes wrong it is gone afterwards.
 */
#include <errno.h>
#include <unistd.h>

#include "km/base/child.h"
#include "km/base/clock.h"

#include "report_internal.h"

#define PROGRAM   "gnuplot"
#define LIMIT_MS  20000u
#define MAX_BYTES ((size_t)4 << 20)

int plotter_run(const struct km_plotter *plotter, struct km_buf *script, struct km_buf *out,
                struct km_err *err)
{
	const char *program = plotter->program != NULL ? plotter->program : PROGRAM;
	const char *const argv[] = { program, "-d", NULL }; /* no start-up file of the user's */
	uint32_t limit_ms = plotter->limit_ms > 0 ? plotter->limit_ms : LIMIT_MS;
	struct km_child_spec spec = {
		.argv = argv,
		.stdin_fd = km_child_input(script),
		.max_out_bytes = plotter->max_bytes > 0 ? plotter->max_bytes : MAX_BYTES,
	};
	int rc;

	if (spec.stdin_fd < 0)
		return km_err_errno(err, EIO, "starting %s", program);
	rc = km_child_run(&spec, (int64_t)limit_ms * KM_NS_PER_MS, out, err);
	(void)close(spec.stdin_fd);
	switch (rc) {
	case 0:
	case -ENOENT:
	case -ETIMEDOUT:
	case -EFBIG:
	case -EIO:
	case -ENOMEM:
		return rc;
	default:
		(void)km_err_prefix(err, "starting");
		if (err != NULL)
			err->code = EIO;
		return -EIO;
	}
}
