/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list: page after page of one moment of the cluster. No resourceVersion is asked for, so it is
 * the newest there is: after an outage a stale answer would bring back what is gone.
 */
#include <errno.h>
#include <stdio.h>

#include "watch_internal.h"

#define PAGE_DEFAULT     500 /* as client-go */
#define PAGE_DEADLINE_NS (60 * KM_NS_PER_S)
#define LIST_DEADLINE_NS (600 * KM_NS_PER_S) /* in one piece */
#define SILENCE_NS       (30 * KM_NS_PER_S)
#define PAGE_TRIES       4 /* of one page, before the list is begun again */

static int on_object(void *ctx, const char *json, size_t len)
{
	return kube_hand_on(ctx, KM_KUBE_LISTED, json, len);
}

static int on_data(void *ctx, const char *bytes, size_t len)
{
	struct kube_reflector *r = ctx;

	kube_heard(r);
	if (r->list == NULL &&
	    km_kube_list_create(KM_KUBE_OBJECT_MAX_BYTES, on_object, r, &r->list) != 0)
		return -ENOMEM;
	return km_kube_list_feed(r->list, bytes, len, &r->event_err);
}

/* One page; its continue token is left in r->token. */
static enum kube_end list_page(struct kube_reflector *r, struct km_err *err)
{
	struct kube_request request = {
		.method = "GET",
		.verb = "list",
		.gzip = true,
		.timeout_ns = r->whole ? LIST_DEADLINE_NS : PAGE_DEADLINE_NS,
		.silence_ns = SILENCE_NS,
		.on_data = on_data,
		.ctx = r,
	};
	char limit[32] = "";
	struct km_buf dropped;
	int rc;

	if (!r->whole)
		(void)snprintf(limit, sizeof(limit), "limit=%u",
		               r->o->page > 0 ? r->o->page : PAGE_DEFAULT);
	rc = kube_make_path(r, limit, "continue", km_buf_cstr(&r->token));
	if (rc != 0)
		return KUBE_END_HOLE;
	request.path = km_buf_cstr(&r->path);
	if (r->list != NULL)
		km_kube_list_reset(r->list);
	r->event_err.code = 0;
	km_buf_init(&dropped);
	rc = kube_request(r->k, &request, &dropped, err);
	km_buf_fini(&dropped);
	kube_count_skipped(r);
	if (rc == -EBADMSG && r->event_err.code != 0)
		(void)km_err_set(err, r->event_err.code, "GET %.60s: %s", r->o->path,
		                 r->event_err.text);
	if (rc == 200 && r->list == NULL)
		rc = km_err_set(err, EBADMSG, "GET %.60s: saw nothing, want a list", r->o->path);
	if (rc == 200 && km_kube_list_end(r->list, err) != 0) {
		(void)km_err_prefix(err, "GET %.60s", r->o->path);
		rc = -EBADMSG;
	}
	if (rc != 200)
		return kube_end_of(rc);
	kube_heard(r);
	km_buf_clear(&r->token);
	km_buf_str(&r->token, km_kube_list_continue(r->list));
	return km_buf_ok(&r->token) ? KUBE_END_WHOLE : KUBE_END_HOLE;
}

/* The page, tried again while the server is only busy: a list of many pages would else never end
 * when each page has a small chance of being refused. */
static enum kube_end list_page_patiently(struct kube_reflector *r, struct km_err *err)
{
	enum kube_end end = list_page(r, err);

	for (int i = 1; i < PAGE_TRIES && (end == KUBE_END_NETWORK || end == KUBE_END_STATUS) &&
	                r->token.len > 0;
	     i++) {
		kube_tell_state(r, err);
		if (!km_kube_wait(r->k,
		                  kube_backoff_next(&r->backoff, km_kube_retry_after_ns(r->k))))
			return KUBE_END_STOPPED;
		end = list_page(r, err);
	}
	return end;
}

enum kube_end kube_list_all(struct kube_reflector *r, struct km_err *err)
{
	enum kube_end end;

	km_buf_clear(&r->token);
	if (r->o->listing != NULL)
		r->o->listing(r->o->ctx);
	do {
		bool first = r->token.len == 0;

		end = list_page_patiently(r, err);
		/* The rest of the list is gone with its moment: the next one in one piece, which
		 * has no token that could expire. */
		if (end == KUBE_END_GONE)
			r->whole = !first;
	} while (end == KUBE_END_WHOLE && r->token.len > 0);
	if (end != KUBE_END_WHOLE)
		return end;
	km_buf_clear(&r->version);
	km_buf_str(&r->version, km_kube_list_version(r->list));
	(void)km_buf_cstr(&r->version);
	if (!km_buf_ok(&r->version))
		return KUBE_END_HOLE;
	r->whole = false;
	r->lists++;
	if (r->o->listed != NULL)
		r->o->listed(r->o->ctx);
	return KUBE_END_WHOLE;
}
