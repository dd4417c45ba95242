/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's settings as plain data: what config reads from YAML (design: the option table in
 * config/options.c gives each its default, range and help) and every other room receives as an
 * argument. Strings and arrays belong to the struct; km_settings_fini frees them.
 */
#ifndef KM_CORE_SETTINGS_H
#define KM_CORE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/cpuset.h"
#include "km/core/workload.h"

#define KM_NODE_NAME_MAX 254 /* a DNS subdomain has at most 253 characters */

enum km_role { KM_ROLE_AGENT = 1, KM_ROLE_EXTENDER = 2, KM_ROLE_CONTROLLER = 4 };

struct km_listen_settings {
	char *address; /* "" = off (observe only) */
	uint16_t port; /* 0 = the kernel picks */
};

struct km_limit_settings {
	size_t body_bytes;
	uint32_t connections;
	int64_t request_deadline_ns;
	uint32_t json_depth;
};

/* One Kubernetes node of this host, or of one replayed host. */
struct km_node_settings {
	char name[KM_NODE_NAME_MAX];
	bool cpus_given; /* false: all CPUs of its host */
	struct km_cpuset cpus;
	char *cgroup; /* "" = none */
};

/* One replayed host. Several nodes may live on it, as with Minikube's docker driver. */
struct km_replay_settings {
	char *file;
	char (*node)[KM_NODE_NAME_MAX]; /* [node_count]: `node: a` or `nodes: [a, b]` */
	size_t node_count;
	double speed; /* trace seconds per wall second, > 0 */
	bool loop;
};

#define KM_SOURCE_KIND_MAX 16 /* with its NUL */

/* A configured source by name; the options of each kind beside it. */
struct km_source_settings {
	char kind[KM_SOURCE_KIND_MAX]; /* "replay", "pcm", "perf", "resctrl", "os", "pcm-server" */
	struct km_replay_settings replay;
};

/*
 * Options of the live sources, all kinds together. Roots are parameters because a container sees
 * its host's trees elsewhere, and a test brings its own.
 */
struct km_live_settings {
	char *procfs, *sysfs, *resctrl, *cgroupfs; /* absolute paths of the trees */
	char *pcm_library;                         /* "" = the loader's search */
	char *pcm_helper;                          /* "" = kubemarla-pcm beside this program */
	bool pcm_isolation_process;                /* else a thread of this process */
	char *pcm_server_url;                      /* of its /metrics; "" = never asked */
	bool perf_core_events; /* false: only what needs no core counter (bandwidth, C-states) */
};

struct km_collect_settings {
	int64_t interval_ns;
	double window_s; /* used where no model says otherwise */
	bool auto_sources;
	int64_t probe_interval_ns; /* between two looks for a better set, when auto; 0 = none */
	struct km_source_settings *source; /* [source_count], when not auto */
	size_t source_count;
	struct km_live_settings live;
};

struct km_decide_settings {
	int64_t max_age_ns;
	enum km_on_stale on_stale;
	uint32_t score_scale; /* 10 or 100 */
	double min_max_slowdown;
	double risk;                  /* quantile of the interval that is scored, 0.5 to 0.95 */
	bool harm_filter, harm_score; /* whether harm to incumbents rejects, and lowers scores */
	bool ledger_off;              /* pods in flight are not counted, nothing is reserved */
	int64_t reservation_ttl_ns;   /* without a pod feed; 0 = the model's window */
	double unknown_slowdown;      /* that a pod in flight is taken to cause where nothing is
	                                 known of it; 1 or less = none */
	char *policies_path;          /* "" = none */
	char *trusted_namespaces;     /* of those policies; with commas between, "" = none */
	char *effects_path;           /* "" = none */
	char *log_path;               /* "" = none */
	struct km_workload default_workload;
};

/* Whose API server, and as whom (kube/credentials.h looks for them). */
struct km_kubernetes_settings {
	enum { KM_KUBERNETES_AUTO, KM_KUBERNETES_ON, KM_KUBERNETES_OFF } enabled;
	char *kubeconfig; /* "" = a pod's own account, $KUBECONFIG, ~/.kube/config */
	char *context;    /* of the kubeconfig; "" = its current one */
	char *namespace;  /* where our own objects live; "" = that of the credentials */
};

/* Where the features that decisions are made from come from. */
struct km_features_settings {
	enum {
		KM_FEATURES_PEERS,      /* the agents of the cluster, each asked */
		KM_FEATURES_PROMETHEUS, /* what it scraped of them */
		KM_FEATURES_LOCAL,      /* this process's own agent alone */
		KM_FEATURES_AUTO,       /* peers with Kubernetes, else local */
	} from;
	char *url; /* of the Prometheus server; "" = none */
	int64_t interval_ns, timeout_ns;
	uint16_t port;                                       /* of agents */
	char *selector;                                      /* of their pods: labels */
	char *tls_ca, *tls_cert, *tls_key, *tls_server_name; /* ca "": plain HTTP */
};

/* How policies are looked after (policy/controller.h). */
struct km_controller_settings {
	char *lease; /* name of the Lease, in our namespace */
	int64_t interval_ns;
	char *prometheus; /* base URL; "" = policies' queries are not asked */
	int64_t query_interval_ns;
};

struct km_settings {
	unsigned roles;   /* enum km_role, or-ed */
	bool roles_given; /* false: the default, nobody asked for each of them */
	struct km_listen_settings listen;
	struct km_listen_settings observe;
	char *tls_cert, *tls_key, *tls_client_ca; /* files, of `listen`; "" = none */
	bool observe_tls;                         /* the same for `observe` */
	struct km_limit_settings limits;
	struct km_node_settings *node; /* [node_count] */
	size_t node_count;
	struct km_collect_settings collect;
	char *model_path; /* "" = none: neutral answers */
	struct km_features_settings features;
	struct km_kubernetes_settings kubernetes;
	struct km_decide_settings decide;
	struct km_controller_settings controller;
};

/* Frees what the struct holds and zeroes it; legal on a zeroed struct. */
void km_settings_fini(struct km_settings *s);

#endif
