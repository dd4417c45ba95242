/* SPDX-License-Identifier: Apache-2.0 */
/* Giving back what the settings hold. Filling them is config's business. */
#include "km/core/settings.h"

#include <stdlib.h>
#include <string.h>

void km_settings_fini(struct km_settings *s)
{
	free(s->listen.address);
	free(s->observe.address);
	free(s->tls_cert);
	free(s->tls_key);
	free(s->tls_client_ca);
	for (size_t i = 0; i < s->node_count; i++) {
		free(s->node[i].cgroup);
	}
	free(s->node);
	for (size_t i = 0; i < s->collect.source_count; i++) {
		free(s->collect.source[i].replay.file);
		free(s->collect.source[i].replay.node);
	}
	free(s->collect.source);
	free(s->collect.live.procfs);
	free(s->collect.live.sysfs);
	free(s->collect.live.resctrl);
	free(s->collect.live.cgroupfs);
	free(s->collect.live.pcm_library);
	free(s->collect.live.pcm_helper);
	free(s->collect.live.pcm_server_url);
	free(s->model_path);
	free(s->features.url);
	free(s->features.selector);
	free(s->features.tls_ca);
	free(s->features.tls_cert);
	free(s->features.tls_key);
	free(s->features.tls_server_name);
	free(s->kubernetes.kubeconfig);
	free(s->kubernetes.context);
	free(s->kubernetes.namespace);
	free(s->controller.lease);
	free(s->controller.prometheus);
	free(s->decide.policies_path);
	free(s->decide.trusted_namespaces);
	free(s->decide.effects_path);
	free(s->decide.log_path);
	memset(s, 0, sizeof(*s));
}
