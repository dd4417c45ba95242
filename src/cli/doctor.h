/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `kubemarla doctor`: each looks at one thing and says what it found. */
#ifndef KM_CLI_DOCTOR_H
#define KM_CLI_DOCTOR_H

#include "km/core/settings.h"

#include "findings.h"

/* doctor_node.c: this machine, by the settings of a file (NULL = defaults). Prints; an exit code.
 */
int doctor_node(const char *path, bool json);

/* doctor_scheduler.c: a KubeSchedulerConfiguration against our own settings. */
struct doctor_scheduler {
	const char *name; /* in front of what a finding is about, and for error texts */
	const char *text;
	size_t len;
	const char *server;                 /* urlPrefix of our extender, NULL = not said */
	const struct km_settings *settings; /* the daemon's, NULL = not known */
};
/* What it looked like, for the checks of a cluster. */
struct doctor_seen {
	char lease_namespace[64];
	char lease_name[64];
	bool elects;
	bool loopback;  /* we are asked on loopback */
	char host[128]; /* where we are asked */
};
void doctor_scheduler(const struct doctor_scheduler *s, struct findings *f,
                      struct doctor_seen *seen);

/* doctor_url.c */
struct doctor_url {
	bool https;
	char host[128];
	unsigned port;
	char path[128]; /* without a slash at its end */
};
/* scheme://host[:port][/path] of HTTP; IPv6 in brackets. returns false when it is none. */
bool doctor_url(const char *text, struct doctor_url *out);
bool doctor_is_loopback(const char *host);
/* Whether they are the same but for slashes at their ends; "" is none. */
bool doctor_same_prefix(const char *a, const char *b);

/* doctor_cluster.c: a live cluster, through the API server of these settings. */
struct doctor_cluster {
	const struct km_kubernetes_settings *where;
	const char *server; /* urlPrefix of our extender, NULL = what the settings there say */
};
void doctor_cluster(const struct doctor_cluster *c, struct findings *f);

#endif
