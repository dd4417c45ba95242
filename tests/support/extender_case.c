/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance table's machinery; see extender_case.h. */
#include "support/extender_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void extender_start(struct daemon *d, const char *yaml)
{
	wire_trace(d, "quiet", "none", 1);
	wire_trace(d, "some", "l3:2", 2);
	wire_trace(d, "noisy", "l3:4", 3);
	wire_start(d, yaml);
	wire_wait_replayed(d, EXTENDER_TRACES);
}

static size_t occurrences(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strcasestr(text, part)) != NULL; text += strlen(part))
		count++;
	return count;
}

void extender_want(const struct wire_answer *a, const char *name, int status, const char *body,
                   size_t len)
{
	const char *head = a->head.data;
	char length[64];
	bool closes = strcasestr(head, "\r\nConnection: close\r\n") != NULL;

	if (a->status != status)
		fail_msg("%s: status %d, want %d\n%s", name, a->status, status, a->body.data);
	(void)snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", len);
	if (a->body.len != len || memcmp(a->body.data, body, len) != 0)
		fail_msg("%s: %zu bytes\n%.2000s\nwant %zu bytes\n%.2000s", name, a->body.len,
		         a->body.data, len, body);
	if (strstr(head, length) == NULL || occurrences(head, "\r\nContent-Length:") != 1 ||
	    strstr(head, "\r\nContent-Type: application/json\r\n") == NULL)
		fail_msg("%s: want%sand the media type in\n%s", name, length, head);
	if (closes != (status == 413))
		fail_msg("%s: the connection %s\n%s", name, closes ? "closes" : "stays open", head);
}

void extender_check(const struct daemon *d, const struct extender_case *c)
{
	static const char *const routes[] = { "/filter", "/prioritize" };
	const char *want[] = { c->filter, c->prioritize != NULL ? c->prioritize : c->filter };
	size_t len = c->len > 0 || c->body == NULL ? c->len : strlen(c->body);
	struct wire_answer a;

	wire_answer_init(&a);
	for (size_t i = 0; i < 2; i++) {
		char path[64];
		char name[128];

		(void)snprintf(path, sizeof(path), "%s%s", routes[i],
		               c->suffix != NULL ? c->suffix : "");
		(void)snprintf(name, sizeof(name), "%s: %s", path, c->name);
		wire_call(d, c->method != NULL ? c->method : "POST", path,
		          c->headers != NULL ? c->headers : "Content-Type: application/json\r\n",
		          c->body, len, &a);
		extender_want(&a, name, c->status != 0 ? c->status : 200, want[i], strlen(want[i]));
	}
	wire_answer_fini(&a);
}

void extender_check_all(const struct daemon *d, const struct extender_case *c)
{
	for (; c->name != NULL; c++)
		extender_check(d, c);
}
