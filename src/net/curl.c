/* SPDX-License-Identifier: Apache-2.0 */
/* What the client and the puller share of libcurl. No state but the library's own. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "km/base/clock.h"

#include "curl_internal.h"

#define USER_AGENT "kubemarla"
/* How long libcurl may keep the parsed roots; its own default is a day. */
#define CA_CACHE_S 60L

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

/* Never undone: other threads may still use the library when the process ends. */
static void init_global(void)
{
	global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int net_curl_init(void)
{
	(void)pthread_once(&global_once, init_global);
	return global_result == CURLE_OK ? 0 : -ENOMEM;
}

long net_curl_ms(int64_t ns)
{
	int64_t ms = ns / KM_NS_PER_MS;

	if (ns == INT64_MAX)
		return 0;
	if (ms < 1)
		return 1;
	return ms < LONG_MAX ? (long)ms : LONG_MAX;
}

bool net_curl_is_http(const char *url)
{
	return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

static CURLcode set_pem(CURL *h, CURLoption option, const char *pem)
{
	union {
		const char *in;
		void *out; /* libcurl copies it, but its type does not say so */
	} text = { .in = pem };
	struct curl_blob blob = { .data = text.out, .len = strlen(pem), .flags = CURL_BLOB_COPY };

	return curl_easy_setopt(h, option, &blob);
}

static CURLcode set_tls(CURL *h, const struct km_client_tls *tls)
{
	const struct {
		const char *pem;
		CURLoption pem_option;
		const char *file;
		CURLoption file_option;
	} parts[] = {
		{ tls->ca_pem, CURLOPT_CAINFO_BLOB, tls->ca_file, CURLOPT_CAINFO },
		{ tls->cert_pem, CURLOPT_SSLCERT_BLOB, tls->cert_file, CURLOPT_SSLCERT },
		{ tls->key_pem, CURLOPT_SSLKEY_BLOB, tls->key_file, CURLOPT_SSLKEY },
	};
	CURLcode rc = CURLE_OK;

	for (size_t i = 0; i < KM_ARRAY_LEN(parts) && rc == CURLE_OK; i++) {
		if (parts[i].pem != NULL)
			rc = set_pem(h, parts[i].pem_option, parts[i].pem);
		else if (parts[i].file != NULL)
			rc = curl_easy_setopt(h, parts[i].file_option, parts[i].file);
	}
	if (rc == CURLE_OK && tls->insecure)
		rc = curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
	if (rc == CURLE_OK && tls->insecure)
		rc = curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
	return rc;
}

/* Also so that no program we exec inherits it. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	int *no_socket = ctx;
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);

	(void)purpose;
	if (fd < 0)
		*no_socket = errno;
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

CURLcode net_curl_configure(CURL *h, const struct km_client_tls *tls, int *no_socket)
{
	CURLcode rc = CURLE_OK;

#define SET(option, value) (rc = rc != CURLE_OK ? rc : curl_easy_setopt(h, option, value))
	SET(CURLOPT_NOSIGNAL, 1L);   /* no SIGALRM for name lookups: signals belong to main */
	SET(CURLOPT_QUICK_EXIT, 1L); /* a stop does not wait for a name lookup */
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, ""); /* none, whatever the environment says */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, no_socket);
	SET(CURLOPT_USERAGENT, USER_AGENT);
#undef SET
	return rc == CURLE_OK && tls != NULL ? set_tls(h, tls) : rc;
}

/*
 * libcurl has no option for "connect there, but the certificate is for that name". So the URL
 * names the name, and the connection is led to the host it named before.
 */
static CURLcode rename_host(CURL *h, CURLU *u, const char *name, struct curl_slist **connect_to)
{
	char *host = NULL;
	char *port = NULL;
	char *renamed = NULL;
	char to[512];
	CURLcode rc = CURLE_OUT_OF_MEMORY;
	int n;

	if (curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_HOST, name, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, &renamed, 0) != CURLUE_OK) {
		rc = CURLE_URL_MALFORMAT;
		goto out;
	}
	n = snprintf(to, sizeof(to), "::%s:%s", host, port);
	if (n < 0 || (size_t)n >= sizeof(to)) {
		rc = CURLE_URL_MALFORMAT;
		goto out;
	}
	*connect_to = curl_slist_append(NULL, to);
	if (*connect_to == NULL)
		goto out;
	rc = curl_easy_setopt(h, CURLOPT_CONNECT_TO, *connect_to);
	if (rc == CURLE_OK)
		rc = curl_easy_setopt(h, CURLOPT_URL, renamed);
out:
	curl_free(host);
	curl_free(port);
	curl_free(renamed);
	return rc;
}

CURLcode net_curl_address(CURL *h, const char *url, const char *server_name,
                          struct curl_slist **connect_to)
{
	CURLcode rc;
	CURLU *u;

	*connect_to = NULL;
	if (server_name == NULL) {
		rc = curl_easy_setopt(h, CURLOPT_CONNECT_TO, NULL);
		return rc == CURLE_OK ? curl_easy_setopt(h, CURLOPT_URL, url) : rc;
	}
	u = curl_url();
	if (u == NULL)
		return CURLE_OUT_OF_MEMORY;
	rc = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK
	             ? rename_host(h, u, server_name, connect_to)
	             : CURLE_URL_MALFORMAT;
	curl_url_cleanup(u);
	return rc;
}

int net_curl_errno(CURL *h, CURLcode code, int *no_socket)
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
		{ CURLE_PEER_FAILED_VERIFICATION, EKEYREJECTED },
		{ CURLE_SSL_CACERT_BADFILE, ENOKEY },
		{ CURLE_SSL_CERTPROBLEM, ENOKEY },
	};
	long os_errno = 0;
	int number = *no_socket;

	*no_socket = 0;
	if (number != 0)
		return number;
	if (code == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(h, CURLINFO_OS_ERRNO, &os_errno) == CURLE_OK && os_errno > 0)
		return (int)os_errno;
	for (size_t i = 0; i < KM_ARRAY_LEN(known); i++) {
		if (known[i].code == code)
			return known[i].number;
	}
	return code == CURLE_COULDNT_CONNECT ? ECONNREFUSED : EPROTO;
}

void net_curl_header(CURL *h, const char *name, char *out, size_t out_size)
{
	struct curl_header *header = NULL;

	out[0] = '\0';
	if (curl_easy_header(h, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
	    strlen(header->value) < out_size)
		(void)snprintf(out, out_size, "%s", header->value);
}
