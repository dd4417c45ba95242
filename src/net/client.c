/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP out, by libcurl's easy interface; one handle is kept, and with it its connections. */
#include "km/net/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>

#include "km/base/clock.h"

#define TIMEOUT_DEFAULT_NS (10 * KM_NS_PER_S)
#define BODY_DEFAULT_BYTES ((size_t)64 * 1024 * 1024)
#define USER_AGENT         "kubemarla"

struct km_client {
	CURL *curl;
	struct curl_slist *json; /* headers of a POST */
	size_t max_body_bytes;
	struct km_buf *out; /* of the request in progress */
	size_t got_bytes;
	bool too_large;
	char detail[CURL_ERROR_SIZE];
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

/* Never undone: other threads may still use the library when the process ends. */
static void init_global(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct km_client *c = ctx;
	size_t len = size * count;

	if (len > c->max_body_bytes - c->got_bytes) {
		c->too_large = true;
		return 0; /* anything but len ends the transfer */
	}
	c->got_bytes += len;
	km_buf_append(c->out, bytes, len);
	return km_buf_ok(c->out) ? len : 0;
}

static long milliseconds(int64_t ns)
{
	int64_t ms = ns / KM_NS_PER_MS;

	if (ms < 1)
		return 1; /* 0 would mean for ever */
	return ms < LONG_MAX ? (long)ms : LONG_MAX;
}

static bool configure(struct km_client *c, int64_t timeout_ns)
{
	CURL *h = c->curl;
	CURLcode rc = CURLE_OK;

#define SET(option, value) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, option, value))
	SET(CURLOPT_NOSIGNAL, 1L); /* no SIGALRM for name lookups: signals belong to main */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, ""); /* none, whatever the environment says */
	SET(CURLOPT_TIMEOUT_MS, milliseconds(timeout_ns));
	SET(CURLOPT_CONNECTTIMEOUT_MS, milliseconds(timeout_ns / 2));
	SET(CURLOPT_USERAGENT, USER_AGENT);
	SET(CURLOPT_ERRORBUFFER, c->detail);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, c);
#undef SET
	return rc == CURLE_OK;
}

int km_client_create(const struct km_client_options *options, struct km_client **out,
                     struct km_err *err)
{
	const struct km_client_options o =
		options != NULL ? *options : (struct km_client_options){ 0 };
	struct km_client *c = NULL;

	*out = NULL;
	(void)pthread_once(&global_once, init_global);
	if (global_result == CURLE_OK)
		c = calloc(1, sizeof(*c));
	if (c == NULL)
		return km_err_set(err, ENOMEM, "HTTP client: out of memory");
	c->max_body_bytes = o.max_body_bytes > 0 ? o.max_body_bytes : BODY_DEFAULT_BYTES;
	c->curl = curl_easy_init();
	/* An empty Expect: libcurl would else wait for a 100 before larger bodies. */
	c->json = curl_slist_append(NULL, "Content-Type: application/json");
	if (c->json != NULL && curl_slist_append(c->json, "Expect:") == NULL) {
		curl_slist_free_all(c->json);
		c->json = NULL;
	}
	if (c->curl == NULL || c->json == NULL ||
	    !configure(c, o.timeout_ns > 0 ? o.timeout_ns : TIMEOUT_DEFAULT_NS)) {
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
	curl_slist_free_all(c->json);
	free(c);
}

static int prepare(struct km_client *c, const char *url, const char *body, size_t body_len)
{
	CURL *h = c->curl;
	CURLcode rc = curl_easy_setopt(h, CURLOPT_URL, url);

	/* Each sets the method too, whatever the request before was. */
	if (rc == CURLE_OK && body == NULL)
		rc = curl_easy_setopt(h, CURLOPT_HTTPGET, 1L);
	if (rc == CURLE_OK && body != NULL)
		rc = curl_easy_setopt(h, CURLOPT_POST, 1L);
	if (rc == CURLE_OK && body != NULL)
		rc = curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body_len);
	if (rc == CURLE_OK && body != NULL)
		rc = curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(h, CURLOPT_HTTPHEADER, body != NULL ? c->json : NULL);
	return rc == CURLE_OK ? 0 : -ENOMEM;
}

static int errno_of(const struct km_client *c, CURLcode code)
{
	static const struct {
		CURLcode code;
		int number;
	} known[] = {
		{ CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH },
		{ CURLE_COULDNT_RESOLVE_PROXY, EHOSTUNREACH },
		{ CURLE_OPERATION_TIMEDOUT, ETIMEDOUT },
		{ CURLE_URL_MALFORMAT, EINVAL },
		{ CURLE_OUT_OF_MEMORY, ENOMEM },
	};
	long os_errno = 0;

	if (c->too_large)
		return EFBIG;
	if (c->out != NULL && !km_buf_ok(c->out))
		return ENOMEM;
	if (code == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK && os_errno > 0)
		return (int)os_errno;
	for (size_t i = 0; i < KM_ARRAY_LEN(known); i++) {
		if (known[i].code == code)
			return known[i].number;
	}
	return code == CURLE_COULDNT_CONNECT ? ECONNREFUSED : EPROTO;
}

int km_client_do(struct km_client *c, const char *url, const char *body, size_t body_len,
                 struct km_buf *out, struct km_err *err)
{
	long status = 0;
	CURLcode code;

	/* libcurl would guess a scheme, and its error for another one is also that for no HTTP. */
	if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
		return km_err_set(err, EINVAL, "%.80s: want a URL of http:// or https://", url);
	if (prepare(c, url, body, body_len) != 0)
		return km_err_set(err, ENOMEM, "%.80s: out of memory", url);
	c->out = out;
	c->got_bytes = 0;
	c->too_large = false;
	c->detail[0] = '\0';
	code = curl_easy_perform(c->curl);
	if (code != CURLE_OK) {
		int number = errno_of(c, code);

		c->out = NULL;
		if (number == EFBIG)
			return km_err_set(err, EFBIG, "%.80s: the answer is over %zu bytes", url,
			                  c->max_body_bytes);
		return km_err_set(err, number, "%.80s: %.90s", url,
		                  c->detail[0] != '\0' ? c->detail : curl_easy_strerror(code));
	}
	c->out = NULL;
	(void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 100 || status > 599)
		return km_err_set(err, EPROTO, "%.80s: status %ld, want 100 to 599", url, status);
	return (int)status;
}
