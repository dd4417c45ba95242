/* SPDX-License-Identifier: Apache-2.0 */
/* `kubemarla` run as a person runs it: arguments, standard input, what it printed, exit code. */
#ifndef KM_TESTS_TOOL_H
#define KM_TESTS_TOOL_H

#include "km/base/buf.h"

struct tool_result {
	int code;          /* exit code, or 128 + signal */
	struct km_buf out; /* both NUL-terminated */
	struct km_buf err;
};

void tool_result_init(struct tool_result *r);
void tool_result_fini(struct tool_result *r);

/*
 * Runs KM_BUILD/kubemarla with arguments, NULL last; input NULL = none. columns 0: standard output
 * is a pipe, else a terminal that wide, whose line ends are LF here. Fails the test when it takes
 * longer than the tests' patience.
 */
void tool_run(const char *const *args, const char *input, unsigned columns, struct tool_result *r);

/* The same of another program in KM_BUILD. */
void tool_run_program(const char *name, const char *const *args, const char *input,
                      unsigned columns, struct tool_result *r);

/* Fails the test, with what it printed, unless it ended so; unless `part` is in the text. */
void tool_want_code(const struct tool_result *r, int code);
void tool_want_text(const char *text, const char *part);

#endif
