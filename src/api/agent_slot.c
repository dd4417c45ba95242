/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thing under the routes that a reload exchanges whole: the agent. Routes read it under a
 * lock, for the few microseconds of copying its status; the exchange waits for them, so the
 * old agent can be freed at once.
 */
#include "km/api/routes.h"

void km_api_agent_init(struct km_api *api)
{
	/* Fails only for attributes, and there are none. */
	(void)pthread_mutex_init(&api->agent_lock, NULL);
	api->agent = NULL;
}

void km_api_agent_fini(struct km_api *api)
{
	(void)pthread_mutex_destroy(&api->agent_lock);
}

struct km_agent *km_api_agent_begin(struct km_api *api)
{
	(void)pthread_mutex_lock(&api->agent_lock);
	return api->agent;
}

void km_api_agent_end(struct km_api *api)
{
	(void)pthread_mutex_unlock(&api->agent_lock);
}

void km_api_agent_set(struct km_api *api, struct km_agent *agent)
{
	(void)pthread_mutex_lock(&api->agent_lock);
	api->agent = agent;
	(void)pthread_mutex_unlock(&api->agent_lock);
}
