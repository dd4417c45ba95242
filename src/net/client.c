/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP out, one request at a time. One easy handle in a multi handle of its own, because only that
 * can be woken from another thread; the connections are the multi handle's and stay.
 */
#include "km/net/client.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "km/base/clock.h"
#include "km/base/num.h"

#include "curl_internal.h"

#define TIMEOUT_DEFAULT_NS (10 * KM_NS_PER_S)
#define BODY_DEFAULT_BYTES ((size_t)64 * 1024 * 1024)
#define KEPT_CONNECTIONS   4L
/* A line of a header: tokens of service accounts have some 1,200 bytes. */
#define HEADER_MAX 16384
/* libcurl comes back by itself for its own timers; this is for none being set. */
#define POLL_MS 10000

struct km_client {
	CURLM *multi;
	CURL *curl;
	char *server_name; /* NULL = the URL's host */
	int64_t timeout_ns;
	size_t max_body_bytes;
	atomic_bool stopped;

	/* Of the request in progress. */
	const struct km_http_ask *ask;
	struct km_buf *out; /* NULL = what is not on_data's is dropped */
	size_t got_bytes;
	int refused; /* negative errno of the body's reader; 0 = none */
	int64_t heard_ns;
	int no_socket; /* errno */
	int64_t began_ns;
	bool has_head;
	char detail[CURL_ERROR_SIZE];
};

static int take_body(struct km_client *c, const char *bytes, size_t len)
{
	if (len > c->max_body_bytes - c->got_bytes)
		return -EFBIG;
	c->got_bytes += len;
	if (c->out == NULL)
		return 0;
	km_buf_append(c->out, bytes, len);
	return km_buf_ok(c->out) ? 0 : -ENOMEM;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct km_client *c = ctx;
	size_t len = size * count;
	long status = 0;

	c->heard_ns = km_clock_mono_ns(km_clock_system());
	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (c->ask->on_data != NULL && status == 200)
		c->refused = c->ask->on_data(c->ask->ctx, bytes, len);
	else
		c->refused = take_body(c, bytes, len);
	/* Anything but len ends the transfer; a body of 0 bytes does not come here. */
	return c->refused < 0 ? 0 : len;
}

static size_t on_header(const char *bytes, size_t size, size_t count, void *ctx)
{
	struct km_client *c = ctx;
	size_t len = size * count;
	long status = 0;

	c->heard_ns = km_clock_mono_ns(km_clock_system());
	/* An empty line ends the head; the head of a 1xx is none yet. */
	if (len == 2 && memcmp(bytes, "\r\n", 2) == 0 &&
	    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
	    status >= 200) {
		c->has_head = true;
		if (c->ask->on_status != NULL)
			c->ask->on_status(c->ask->ctx, (int)status);
	}
	return len;
}

static bool configure(struct km_client *c, const struct km_client_tls *tls)
{
	CURL *h = c->curl;
	CURLcode rc = net_curl_configure(h, tls, &c->no_socket);

#define SET(option, value) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, option, value))
	SET(CURLOPT_ERRORBUFFER, c->detail);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, c);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, c);
#undef SET
	return rc == CURLE_OK &&
	       curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS) == CURLM_OK;
}

int km_client_create(const struct km_client_options *options, struct km_client **out,
                     struct km_err *err)
{
	const struct km_client_options o =
		options != NULL ? *options : (struct km_client_options){ 0 };
	struct km_client *c = NULL;
	bool named = o.tls != NULL && o.tls->server_name != NULL;

	*out = NULL;
	if (net_curl_init() == 0)
		c = calloc(1, sizeof(*c));
	if (c == NULL)
		return km_err_set(err, ENOMEM, "HTTP client: out of memory");
	atomic_init(&c->stopped, false);
	c->timeout_ns = o.timeout_ns > 0 ? o.timeout_ns : TIMEOUT_DEFAULT_NS;
	c->max_body_bytes = o.max_body_bytes > 0 ? o.max_body_bytes : BODY_DEFAULT_BYTES;
	c->multi = curl_multi_init();
	c->curl = curl_easy_init();
	if (named)
		c->server_name = strdup(o.tls->server_name);
	if (c->multi == NULL || c->curl == NULL || (named && c->server_name == NULL) ||
	    !configure(c, o.tls)) {
		km_client_free(c);
		return km_err_set(err, ENOMEM, "HTTP client: out of memory");
	}
	*out = c;
	return 0;
}

void km_client_free(struct km_client *c)
{
	if (c == NULL)
		return;
	curl_easy_cleanup(c->curl);
	(void)curl_multi_cleanup(c->multi);
	free(c->server_name);
	free(c);
}

void km_client_stop(struct km_client *c)
{
	atomic_store(&c->stopped, true);
	(void)curl_multi_wakeup(c->multi);
}

void km_client_resume(struct km_client *c)
{
	atomic_store(&c->stopped, false);
}

/* ---- the request ---------------------------------------------------------------------------- */

/* Nothing that could end the line, or the method's word. */
static bool is_plain(const char *text, char least)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < (unsigned char)least || *text == '\x7f')
			return false;
	}
	return true;
}

/* returns 0, -EINVAL with the header's name in the text, -ENOMEM. */
static int add_header(struct curl_slist **list, const char *name, const char *value,
                      struct km_err *err)
{
	struct curl_slist *longer;
	struct km_buf line;

	if (value == NULL)
		return 0;
	if (!is_plain(value, ' ') || strlen(value) > HEADER_MAX)
		return km_err_set(err, EINVAL,
		                  "header %s: a control character or over %d bytes in its value",
		                  name, HEADER_MAX);
	km_buf_init(&line);
	/* libcurl takes "Name:" as the wish for no such header, "Name;" for an empty one. */
	km_buf_printf(&line, value[0] != '\0' ? "%s: %s" : "%s;%s", name, value);
	longer = km_buf_ok(&line) ? curl_slist_append(*list, km_buf_cstr(&line)) : NULL;
	km_buf_fini(&line);
	if (longer == NULL)
		return km_err_set(err, ENOMEM, "header %s: out of memory", name);
	*list = longer;
	return 0;
}

static int make_headers(const struct km_http_ask *ask, struct curl_slist **list, struct km_err *err)
{
	const char *type = ask->content_type;
	struct curl_slist *first;
	int rc;

	*list = NULL;
	if (ask->body != NULL && type == NULL)
		type = "application/json";
	rc = add_header(list, "Content-Type", type, err);
	if (rc == 0)
		rc = add_header(list, "Accept", ask->accept, err);
	if (rc == 0)
		rc = add_header(list, "If-None-Match", ask->if_none_match, err);
	if (rc == 0 && ask->bearer != NULL) {
		struct km_buf value;

		km_buf_init(&value);
		km_buf_printf(&value, "Bearer %s", ask->bearer);
		rc = add_header(list, "Authorization", km_buf_cstr(&value), err);
		km_buf_fini(&value);
	}
	if (rc != 0)
		return rc;
	/* An empty Expect: libcurl would else wait for a 100 before larger bodies. */
	first = curl_slist_append(*list, "Expect:");
	if (first == NULL)
		return km_err_set(err, ENOMEM, "headers: out of memory");
	*list = first;
	return 0;
}

static CURLcode set_method(CURL *h, const struct km_http_ask *ask)
{
	CURLcode rc;

	/* These set the method too, whatever the request before was. */
	if (ask->body == NULL) {
		rc = curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
	} else {
		rc = curl_easy_setopt(h, CURLOPT_POST, 1L);
		if (rc == CURLE_OK)
			rc = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE,
			                      (curl_off_t)ask->body_len);
		if (rc == CURLE_OK)
			rc = curl_easy_setopt(h, CURLOPT_POSTFIELDS, ask->body);
	}
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, ask->method);
	if (rc == CURLE_OK && ask->method != NULL && strcmp(ask->method, "HEAD") == 0)
		rc = curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	return rc;
}

static CURLcode prepare(struct km_client *c, const struct km_http_ask *ask,
                        struct curl_slist *headers)
{
	int64_t timeout_ns = ask->timeout_ns > 0 ? ask->timeout_ns : c->timeout_ns;
	int64_t least_ns = timeout_ns < c->timeout_ns ? timeout_ns : c->timeout_ns;
	CURL *h = c->curl;
	CURLcode rc = set_method(h, ask);

#define SET(option, value) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, option, value))
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_ACCEPT_ENCODING, ask->gzip ? "gzip" : NULL);
	SET(CURLOPT_TIMEOUT_MS, net_curl_ms(timeout_ns));
	SET(CURLOPT_CONNECTTIMEOUT_MS, net_curl_ms(least_ns / 2));
#undef SET
	return rc;
}

/* ---- its run -------------------------------------------------------------------------------- */

/* Milliseconds until so long after `from`, rounded up; most of them POLL_MS. No limit: POLL_MS. */
static int left_ms(int64_t from_ns, int64_t limit_ns)
{
	int64_t left_ns;

	if (limit_ns <= 0)
		return POLL_MS;
	left_ns = from_ns + limit_ns - km_clock_mono_ns(km_clock_system());
	if (left_ns <= 0)
		return 0;
	left_ns = (left_ns + KM_NS_PER_MS - 1) / KM_NS_PER_MS;
	return left_ns < POLL_MS ? (int)left_ns : POLL_MS;
}

/* How long nothing need be done about silence. */
static int silence_left_ms(const struct km_client *c)
{
	if (!c->has_head && c->ask->head_ns > 0)
		return left_ms(c->began_ns, c->ask->head_ns);
	return left_ms(c->heard_ns, c->ask->silence_ns);
}

/* Runs until the transfer is over. returns 0 with its *code, or why it was not waited for. */
static int run(struct km_client *c, CURLcode *code)
{
	for (;;) {
		CURLMsg *message;
		int running = 0;
		int left = 0;
		int wait_ms;

		if (atomic_load(&c->stopped))
			return -ECANCELED;
		if (curl_multi_perform(c->multi, &running) != CURLM_OK)
			return -ENOMEM;
		message = curl_multi_info_read(c->multi, &left);
		if (message != NULL && message->msg == CURLMSG_DONE) {
			*code = message->data.result;
			return 0;
		}
		wait_ms = silence_left_ms(c);
		if (wait_ms == 0)
			return -ETIMEDOUT;
		if (curl_multi_poll(c->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
			return -ENOMEM;
	}
}

/* Seconds, or a date. */
static int64_t retry_after_s(const char *text)
{
	int64_t seconds = 0;
	time_t date;

	if (km_num_int(text, strlen(text), &seconds) == 0)
		return seconds >= 0 ? seconds : -1;
	date = curl_getdate(text, NULL);
	if (date == -1)
		return -1;
	seconds = (int64_t)date - km_clock_wall_ns(km_clock_system()) / KM_NS_PER_S;
	return seconds > 0 ? seconds : 0;
}

static void tell(struct km_client *c, struct km_http_told *told)
{
	char text[64];
	long status = 0;

	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	told->status = (int)status;
	net_curl_header(c->curl, "ETag", told->etag, sizeof(told->etag));
	net_curl_header(c->curl, "Retry-After", text, sizeof(text));
	told->retry_after_s = retry_after_s(text);
}

static int fail(const struct km_client *c, const char *url, int number, const char *why,
                struct km_err *err)
{
	if (number == EFBIG && c->refused == -EFBIG && c->ask->on_data == NULL)
		return km_err_set(err, EFBIG, "%.80s: the answer is over %zu bytes", url,
		                  c->max_body_bytes);
	return km_err_set(err, number, "%.80s: %.90s", url, why);
}

static int perform(struct km_client *c, struct km_http_told *told, struct km_err *err)
{
	const char *url = c->ask->url;
	CURLcode code = CURLE_OK;
	int rc;

	if (curl_multi_add_handle(c->multi, c->curl) != CURLM_OK)
		return km_err_set(err, ENOMEM, "%.80s: out of memory", url);
	rc = run(c, &code);
	tell(c, told);
	if (rc == -ECANCELED)
		(void)fail(c, url, ECANCELED, "stopped", err);
	else if (rc == -ETIMEDOUT)
		(void)fail(c, url, ETIMEDOUT, "nothing came for too long", err);
	else if (rc != 0)
		(void)fail(c, url, -rc, "out of memory", err);
	else if (c->refused < 0)
		rc = fail(c, url, -c->refused, "the body's reader ended it", err);
	else if (code != CURLE_OK)
		rc = fail(c, url, net_curl_errno(c->curl, code, &c->no_socket),
		          c->detail[0] != '\0' ? c->detail : curl_easy_strerror(code), err);
	else if (told->status < 100 || told->status > 599)
		rc = km_err_set(err, EPROTO, "%.80s: status %d, want 100 to 599", url,
		                told->status);
	/* A transfer that is not over ends here, and its connection. */
	(void)curl_multi_remove_handle(c->multi, c->curl);
	return rc < 0 ? rc : told->status;
}

int km_client_ask(struct km_client *c, const struct km_http_ask *ask, struct km_buf *out,
                  struct km_http_told *told, struct km_err *err)
{
	struct curl_slist *headers = NULL;
	struct curl_slist *connect_to = NULL;
	struct km_http_told heard = { .retry_after_s = -1 };
	CURLcode code;
	int rc;

	if (told == NULL)
		told = &heard;
	*told = heard;
	/* libcurl's error for another scheme is also that for no HTTP. */
	if (!net_curl_is_http(ask->url))
		return km_err_set(err, EINVAL, "%.80s: want a URL of http:// or https://",
		                  ask->url);
	if (ask->method != NULL && (ask->method[0] == '\0' || !is_plain(ask->method, '!')))
		return km_err_set(err, EINVAL, "%.80s: method \"%.20s\": want one word", ask->url,
		                  ask->method);
	c->ask = ask;
	c->out = out;
	c->got_bytes = 0;
	c->refused = 0;
	c->no_socket = 0;
	c->detail[0] = '\0';
	c->began_ns = km_clock_mono_ns(km_clock_system());
	c->heard_ns = c->began_ns;
	c->has_head = false;
	rc = make_headers(ask, &headers, err);
	if (rc != 0) {
		(void)km_err_prefix(err, "%.80s", ask->url);
		goto out;
	}
	code = net_curl_address(c->curl, ask->url, c->server_name, &connect_to);
	if (code == CURLE_OK)
		code = prepare(c, ask, headers);
	rc = code == CURLE_OK ? perform(c, told, err)
	                      : km_err_set(err, net_curl_errno(c->curl, code, &c->no_socket),
	                                   "%.80s: %s", ask->url, curl_easy_strerror(code));
out:
	/* They are borrowed by the handle. */
	(void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	(void)curl_easy_setopt(c->curl, CURLOPT_CONNECT_TO, NULL);
	curl_slist_free_all(headers);
	curl_slist_free_all(connect_to);
	c->ask = NULL;
	c->out = NULL;
	return rc;
}

int km_client_do(struct km_client *c, const char *url, const char *body, size_t body_len,
                 struct km_buf *out, struct km_err *err)
{
	const struct km_http_ask ask = { .url = url, .body = body, .body_len = body_len };

	return km_client_ask(c, &ask, out, NULL, err);
}
