/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that take long, served aside: their connections are suspended, so that those on the same
 * daemon go on, and one thread runs the handler for one after the other. A connection is resumed
 * with its answer ready; its daemon then asks for it again and sends it.
 */
#include <errno.h>
#include <signal.h>

#include "net_internal.h"

static struct net_request *take(struct net_aside *a)
{
	struct net_request *r;

	(void)pthread_mutex_lock(&a->lock);
	while (a->head == NULL && !a->stopping)
		(void)pthread_cond_wait(&a->given, &a->lock);
	r = a->head;
	if (r != NULL) {
		a->head = r->next;
		if (a->head == NULL)
			a->tail = NULL;
		/* What is left at the end is refused: its daemon says so. */
		r->aside = a->stopping ? NET_ASIDE_REFUSED : NET_ASIDE_DONE;
	}
	(void)pthread_mutex_unlock(&a->lock);
	return r;
}

static void *serve(void *arg)
{
	struct km_server *s = arg;
	struct net_aside *a = &s->aside;
	struct net_request *r;

	(void)pthread_setname_np(pthread_self(), "km-aside");
	if (s->options.thread_init != NULL)
		s->options.thread_init();
	while ((r = take(a)) != NULL) {
		struct MHD_Connection *connection = r->source.connection;

		if (r->aside == NET_ASIDE_DONE)
			s->options.handler(s->options.ctx, &r->request, &r->reply);
		/* Before it is resumed: from then on the request is its daemon's, and may be gone.
		 */
		(void)pthread_mutex_lock(&a->lock);
		a->count--;
		(void)pthread_mutex_unlock(&a->lock);
		MHD_resume_connection(connection);
	}
	return NULL;
}

int net_aside_start(struct km_server *s)
{
	struct net_aside *a = &s->aside;
	int rc;

	*a = (struct net_aside){ .lock = PTHREAD_MUTEX_INITIALIZER,
		                 .given = PTHREAD_COND_INITIALIZER };
	if (s->options.aside == NULL)
		return 0;
	rc = pthread_create(&a->thread, NULL, serve, s);
	a->running = rc == 0;
	return -rc;
}

bool net_aside_give(struct km_server *s, struct net_request *r)
{
	struct net_aside *a = &s->aside;
	bool room;

	(void)pthread_mutex_lock(&a->lock);
	room = !a->stopping && a->count < KM_HTTP_ASIDE_MAX;
	if (room) {
		/* Under the lock: nobody can resume it before it is suspended. */
		MHD_suspend_connection(r->source.connection);
		r->next = NULL;
		if (a->tail != NULL)
			a->tail->next = r;
		else
			a->head = r;
		a->tail = r;
		a->count++;
		(void)pthread_cond_signal(&a->given);
	}
	(void)pthread_mutex_unlock(&a->lock);
	return room;
}

void net_aside_stop(struct km_server *s)
{
	struct net_aside *a = &s->aside;

	if (!a->running)
		return;
	(void)pthread_mutex_lock(&a->lock);
	a->stopping = true;
	(void)pthread_cond_signal(&a->given);
	(void)pthread_mutex_unlock(&a->lock);
	(void)pthread_join(a->thread, NULL);
	a->running = false;
}
