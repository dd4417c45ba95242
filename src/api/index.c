/* SPDX-License-Identifier: Apache-2.0 */
/* GET /: the routes for a person with a browser. Everything on the page is ours: no escaping. */
#include "api_internal.h"

static const char head[] =
	"<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>kubemarlad</title>\n"
	"<style>body{font:16px/1.5 system-ui,sans-serif;max-width:52em;margin:3em auto;"
	"padding:0 1em}td{padding:.2em 1.5em .2em 0;vertical-align:top}"
	"code{white-space:nowrap}</style>\n";

static void put_route(struct km_buf *out, const struct km_api_route *r)
{
	km_buf_str(out, "<tr><td>");
	km_buf_str(out, r->methods == KM_API_POST  ? "POST"
	                : r->methods == KM_API_GET ? "GET"
	                                           : "GET, POST");
	km_buf_str(out, "<td><code>");
	if (r->methods == KM_API_GET)
		km_buf_printf(out, "<a href=\"%s\">%s</a>", r->path, r->path);
	else
		km_buf_str(out, r->path);
	km_buf_printf(out, "</code><td>%s\n", r->help);
}

void km_api_index(struct km_api *api, const struct km_http_request *req,
                  struct km_http_reply *reply)
{
	struct km_buf *out = &reply->body;

	(void)req;
	reply->content_type = "text/html; charset=utf-8";
	km_buf_str(out, head);
	km_buf_printf(out, "<h1>kubemarlad %s</h1>\n<table>\n", api->version ? api->version : "");
	for (const struct km_api_route *r = km_api_routes; r->path; r++) {
		if (r->roles == 0 || (r->roles & api->roles))
			put_route(out, r);
	}
	km_buf_str(out, "</table>\n<p>Or from a terminal: <code>kubemarla top</code>, "
	                "<code>kubemarla ask</code>, <code>kubemarla predict</code>.\n</html>\n");
}
