/* SPDX-License-Identifier: Apache-2.0 */
/* URLs as far as doctor compares them. */
#include <string.h>

#include "km/base/num.h"

#include "doctor.h"

bool doctor_url(const char *text, struct doctor_url *out)
{
	const char *at = strstr(text, "://");
	const char *end;
	const char *path;
	int64_t port = 0;
	size_t len;

	*out = (struct doctor_url){ .https = strncmp(text, "https://", 8) == 0 };
	if (at == NULL || (!out->https && strncmp(text, "http://", 7) != 0))
		return false;
	at += 3;
	path = at + strcspn(at, "/");
	end = at[0] == '[' ? memchr(at, ']', (size_t)(path - at)) : at;
	if (end == NULL)
		return false;
	end = at[0] == '[' ? end + 1 : at + strcspn(at, ":/");
	len = (size_t)(end - at);
	if (len == 0 || len >= sizeof(out->host))
		return false;
	(void)snprintf(out->host, sizeof(out->host), "%.*s", (int)len, at);
	out->port = out->https ? 443 : 80;
	if (*end == ':') {
		if (km_num_int(end + 1, (size_t)(path - end - 1), &port) != 0 || port < 1 ||
		    port > 65535)
			return false;
		out->port = (unsigned)port;
	}
	(void)snprintf(out->path, sizeof(out->path), "%s", path);
	for (len = strlen(out->path); len > 0 && out->path[len - 1] == '/'; len--)
		out->path[len - 1] = '\0';
	return true;
}

bool doctor_is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0 ||
	       strcmp(host, "localhost") == 0;
}

bool doctor_same_prefix(const char *a, const char *b)
{
	size_t x = strlen(a);
	size_t y = strlen(b);

	while (x > 0 && a[x - 1] == '/')
		x--;
	while (y > 0 && b[y - 1] == '/')
		y--;
	return x == y && x > 0 && memcmp(a, b, x) == 0;
}
