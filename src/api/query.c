/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of the query string. */
#include <string.h>

#include "km/base/num.h"

#include "api_internal.h"

struct km_name km_api_query_name(const struct km_http_request *req, const char *name)
{
	const char *text = km_http_query(req, name);

	return text ? (struct km_name){ text, (uint32_t)strlen(text) } : (struct km_name){ "", 0 };
}

bool km_api_query_number(const struct km_http_request *req, struct km_http_reply *reply,
                         const char *name, int64_t most, int64_t *out)
{
	const char *text = km_http_query(req, name);
	struct km_err err = { .code = 0 };
	int64_t value = 0;

	if (!text)
		return true;
	if (km_num_int(text, strlen(text), &value) == 0 && value >= 1 && value <= most) {
		*out = value;
		return true;
	}
	(void)km_err_set(&err, 0, "%s: saw \"%.40s\", want a whole number from 1 to %lld", name,
	                 text, (long long)most);
	km_api_error(reply, 400, "badRequest", err.text);
	return false;
}
