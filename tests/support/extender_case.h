/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to /filter and /prioritize and the whole answers that must come: the rows of the
 * extender protocol's conformance table, as bytes to a real daemon. Everything but `name` that is
 * NULL or 0 takes what is said here.
 */
#ifndef KM_TESTS_EXTENDER_CASE_H
#define KM_TESTS_EXTENDER_CASE_H

#include <stddef.h>

#include "support/wire.h"

/*
 * The world of these cases: the fixed test model, and three nodes beside no, some and much
 * interference whose synthetic traces are at their end, so that every answer is settled; a fourth
 * has no counters. For the default workload they score 10, 6, 2 and, among these, 5.
 */
#define EXTENDER_NODES                                                                             \
	"nodes:\n"                                                                                 \
	"- {name: quiet, cpus: 0-3}\n"                                                             \
	"- {name: some, cpus: 0-3}\n"                                                              \
	"- {name: noisy, cpus: 0-3}\n"                                                             \
	"- {name: blind, cpus: 0-3}\n"                                                             \
	"collect:\n"                                                                               \
	"  interval: 100ms\n"                                                                      \
	"  sources:\n"                                                                             \
	"  - replay: {file: \"@DIR@/quiet.csv\", node: quiet, speed: 100000}\n"                    \
	"  - replay: {file: \"@DIR@/some.csv\", node: some, speed: 100000}\n"                      \
	"  - replay: {file: \"@DIR@/noisy.csv\", node: noisy, speed: 100000}\n"                    \
	"  - replay: {file: \"@DIR@/absent.csv\", node: blind}\n"
#define EXTENDER_TRACES 3
#define EXTENDER_MODEL  "model: {path: tests/fixtures/model/test.ubj}\n"

/* Writes the traces, starts with this configuration, waits until the traces are at their end. */
void extender_start(struct daemon *d, const char *yaml);

struct extender_case {
	const char *name; /* NULL ends a table */
	const char *body;
	size_t len;             /* of body; 0 = strlen */
	const char *method;     /* NULL = POST */
	const char *headers;    /* lines with CRLF; NULL = Content-Type: application/json */
	const char *suffix;     /* behind the path; NULL = nothing */
	int status;             /* 0 = 200 */
	const char *filter;     /* the whole body of the answer */
	const char *prioritize; /* NULL = the same as filter */
};

/* Sends it to both routes. Fails the test unless both answers are exactly these. */
void extender_check(const struct daemon *d, const struct extender_case *c);
void extender_check_all(const struct daemon *d, const struct extender_case *c);

/*
 * Fails the test unless the answer is whole: the status, one Content-Length that is the body's and
 * no chunks (wire_receive), our media type, a connection that stays open but after a 413, the body.
 */
void extender_want(const struct wire_answer *a, const char *name, int status, const char *body,
                   size_t len);

#endif
