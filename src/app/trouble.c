/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong beside the API's own parts, a line each, for /readyz. Any thread. */
#include <stdio.h>

#include "km/policy/controller.h"

#include "kubernetes_internal.h"

#define LATE_S 60 /* a round of one second that takes so long hangs */

static void of_controller(const struct app *a, char *out, size_t size)
{
	struct km_controller_health h;

	if (a->controller == NULL)
		return;
	km_controller_health(a->controller, &h);
	if (h.leading && h.trouble[0] != '\0')
		(void)snprintf(out, size, "controller: %s", h.trouble);
	else if (!h.leading && h.holder[0] == '\0')
		(void)snprintf(out, size, "controller: nobody is known to hold the Lease");
	else if (h.round_age_s > LATE_S)
		(void)snprintf(out, size, "controller: no round for %.0f s", h.round_age_s);
}

static void of_queries(const struct app *a, char *out, size_t size)
{
	struct km_controller_health h;

	if (a->controller == NULL)
		return;
	km_controller_health(a->controller, &h);
	if (h.queries_failing > 0)
		(void)snprintf(out, size, "queries of policies: %zu without an answer: %s",
		               h.queries_failing, h.query_error);
}

static void of_features(const struct app *a, char *out, size_t size)
{
	struct km_gather_stats s;

	if (a->kubernetes == NULL)
		return;
	km_gather_stats(a->kubernetes->gather, &s);
	if (s.failing + s.misfit == 0)
		return;
	if (a->kubernetes->scraped != NULL)
		(void)snprintf(out, size, "features: nothing from Prometheus: %s", s.why);
	else
		(void)snprintf(out, size, "features: nothing from %zu of %zu agents, last: %s",
		               s.failing + s.misfit, s.agents, s.why);
}

void app_trouble(void *ctx, size_t at, char *out, size_t size)
{
	static void (*const of[])(const struct app *, char *, size_t) = {
		of_controller,
		of_queries,
		of_features,
	};

	_Static_assert(KM_ARRAY_LEN(of) <= KM_API_TROUBLES_MAX, "each is asked");
	out[0] = '\0';
	if (at < KM_ARRAY_LEN(of))
		of[at](ctx, out, size);
}
