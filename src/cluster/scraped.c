/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that asks Prometheus, and how it asks. What it asks: scraped_round.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scraped_internal.h"

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

static int ask_server(void *ctx, const char *query, struct km_buf *out, struct km_err *err)
{
	struct km_scraped *s = ctx;
	struct km_buf url;
	int rc;

	km_buf_init(&url);
	km_buf_str(&url, s->url);
	km_buf_str(&url, "/api/v1/query?query=");
	for (const char *c = query; *c != '\0'; c++) {
		if (is_plain(*c)) {
			km_buf_char(&url, *c);
		} else {
			km_buf_printf(&url, "%%%02X", (unsigned)(unsigned char)*c);
		}
	}
	rc = km_buf_ok(&url) ? km_client_ask(s->client,
	                                     &(struct km_http_ask){ .url = km_buf_cstr(&url),
	                                                            .gzip = true },
	                                     out, NULL, err)
	                     : -ENOMEM;
	km_buf_fini(&url);
	return rc;
}

int km_scraped_create(const struct km_scraped_options *options, struct km_scraped **out,
                      struct km_err *err)
{
	const struct km_client_options client = { .timeout_ns = options->timeout_ns,
		                                  .tls = options->tls };
	const struct km_gather_agent agent = { .key = SCRAPED_KEY, .node = { "", 0 } };
	struct km_scraped *s = calloc(1, sizeof(*s));
	size_t url_len = strlen(options->url);
	pthread_condattr_t attr;
	int rc = 0;

	*out = NULL;
	if (s == NULL) {
		return km_err_set(err, ENOMEM, "Prometheus: out of memory");
	}
	(void)pthread_mutex_init(&s->lock, NULL); /* never fails with these attributes */
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	km_arena_init(&s->arena, (size_t)1 << 20);
	km_arena_init(&s->answer, (size_t)1 << 20);
	km_buf_init(&s->body);
	km_buf_init(&s->query);
	s->gather = options->gather;
	s->clock = options->clock;
	s->schema = km_schema_ref(options->schema);
	s->interval_ns = options->interval_ns;
	s->names_nodes = options->names_nodes;
	s->ask = options->ask != NULL ? options->ask : ask_server;
	s->ctx = options->ask != NULL ? options->ctx : s;
	/* "http://host/" is meant as "http://host". */
	while (url_len > 0 && options->url[url_len - 1] == '/') {
		url_len--;
	}
	s->url = strndup(options->url, url_len);
	if (s->url == NULL || km_gather_set_agents(s->gather, &agent, 1) != 0) {
		rc = km_err_set(err, ENOMEM, "Prometheus: out of memory");
	}
	if (rc == 0 && options->ask == NULL) {
		rc = km_client_create(&client, &s->client, err);
	}
	if (rc != 0) {
		km_scraped_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void km_scraped_free(struct km_scraped *s)
{
	if (s == NULL) {
		return;
	}
	km_client_free(s->client);
	km_schema_unref(s->schema);
	km_arena_fini(&s->arena);
	km_arena_fini(&s->answer);
	km_buf_fini(&s->body);
	km_buf_fini(&s->query);
	free(s->url);
	(void)pthread_cond_destroy(&s->wake);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* returns false when it is to end. */
static bool wait_turn(struct km_scraped *s)
{
	int64_t at_ns = km_clock_mono_ns(km_clock_system()) + s->interval_ns;
	const struct timespec deadline = { .tv_sec = (time_t)(at_ns / KM_NS_PER_S),
		                           .tv_nsec = (long)(at_ns % KM_NS_PER_S) };
	bool stop;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (rc == 0 && !s->stop) {
		rc = pthread_cond_timedwait(&s->wake, &s->lock, &deadline);
	}
	stop = s->stop;
	pthread_mutex_unlock(&s->lock);
	return !stop;
}

static void *scraped_thread(void *arg)
{
	struct km_scraped *s = arg;

	(void)pthread_setname_np(pthread_self(), "km-scraped");
	do {
		km_scraped_round(s);
	} while (wait_turn(s));
	return NULL;
}

int km_scraped_start(struct km_scraped *s, struct km_err *err)
{
	int code = pthread_create(&s->thread, NULL, scraped_thread, s);

	if (code != 0) {
		return km_err_errno(err, code, "thread that asks Prometheus");
	}
	s->started = true;
	return 0;
}

void km_scraped_stop(struct km_scraped *s)
{
	if (s == NULL || !s->started) {
		return;
	}
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	if (s->client != NULL) {
		km_client_stop(s->client);
	}
	(void)pthread_join(s->thread, NULL);
	s->started = false;
}

void km_scraped_set_schema(struct km_scraped *s, const struct km_schema *schema)
{
	struct km_schema *old;

	pthread_mutex_lock(&s->lock);
	old = s->schema;
	s->schema = km_schema_ref(schema);
	pthread_mutex_unlock(&s->lock);
	km_schema_unref(old);
}
