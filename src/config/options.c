/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every option of the configuration, once: key, type, default, range, unit, help, and whether
 * SIGHUP applies it. Parser, --help, `kubemarla config` and kubemarla.yaml(5) read these rows;
 * after a change here run `kubemarla config --man` into the man page (a test compares them).
 */
#include "config_internal.h"

#define FIELD(type_, member)                                                                       \
	.offset = offsetof(struct type_, member), .size = sizeof(((struct type_ *)0)->member)

#define NS 1e9

static const char *const isolations[] = { "thread", "process", NULL };
static const char *const feature_origins[] = { "peers", "prometheus", "local", "auto", NULL };
static const char *const kubernetes_modes[] = { "auto", "on", "off", NULL };
static const char *const on_stales[] = { "Neutral", "Avoid", "Reject", NULL };
static const char *const switches[] = { "on", "off", NULL };
static const char *const score_scales[] = { "10", "100", NULL };

_Static_assert(KM_FEATURES_PEERS == 0 && KM_FEATURES_PROMETHEUS == 1 && KM_FEATURES_LOCAL == 2 &&
                       KM_FEATURES_AUTO == 3,
               "feature_origins[] is indexed by the enum");
_Static_assert(KM_KUBERNETES_AUTO == 0 && KM_KUBERNETES_ON == 1 && KM_KUBERNETES_OFF == 2,
               "kubernetes_modes[] is indexed by the enum");
_Static_assert(KM_ON_STALE_NEUTRAL == 0 && KM_ON_STALE_AVOID == 1 && KM_ON_STALE_REJECT == 2,
               "on_stales[] is indexed by the enum");

/* clang-format off: a table */
static const struct km_conf_option settings_rows[] = {
	{
		.key = "roles",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_roles,
		.preset = "agent, extender, controller",
		.want = "a list of agent, extender, controller",
		.help = "What this process does: measure (agent), answer the scheduler (extender), "
			"look after policies (controller).",
		FIELD(km_settings, roles),
	},
	{
		.key = "listen.address",
		.type = KM_CONF_STRING,
		.preset = "127.0.0.1",
		.help = "Numeric IPv4 or IPv6 address on which the scheduler is answered.",
		FIELD(km_settings, listen.address),
	},
	{
		.key = "listen.port",
		.type = KM_CONF_INTEGER,
		.preset = "9191",
		.max = 65535,
		.help = "TCP port; 0 lets the kernel pick, and the ready line tells which.",
		FIELD(km_settings, listen.port),
	},
	{
		.key = "listen.tls.cert",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File with the server's certificate in PEM, the leaf first, then "
			"intermediates; empty is plain HTTP. It is looked at every 2 s and at "
			"SIGHUP: a rotated one serves new connections, a bad one is refused in a "
			"log line.",
		FIELD(km_settings, tls_cert),
	},
	{
		.key = "listen.tls.key",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File with its private key in PEM, without a password.",
		FIELD(km_settings, tls_key),
	},
	{
		.key = "listen.tls.clientCA",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File with the certificates in PEM that client certificates must come "
			"from; "
			"who has none of these gets 403. Empty lets everybody ask.",
		FIELD(km_settings, tls_client_ca),
	},
	{
		.key = "observe.address",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Numeric address of a second listener with /metrics, /healthz, /readyz and "
			"/v1/features only, for probes and Prometheus; empty is off.",
		FIELD(km_settings, observe.address),
	},
	{
		.key = "observe.port",
		.type = KM_CONF_INTEGER,
		.preset = "9192",
		.max = 65535,
		.help = "Its TCP port.",
		FIELD(km_settings, observe.port),
	},
	{
		.key = "observe.tls",
		.type = KM_CONF_BOOL,
		.preset = "false",
		.help = "TLS there too, with the files of listen.tls. /healthz and /readyz are "
			"answered without a client's certificate, because kubelet has none.",
		FIELD(km_settings, observe_tls),
	},
	{
		.key = "limits.bodyBytes",
		.type = KM_CONF_INTEGER,
		.preset = "8388608",
		.unit = "bytes",
		.min = 4096,
		.max = 1 << 30,
		.reload = true,
		.help = "Largest request body; larger ones get 413.",
		FIELD(km_settings, limits.body_bytes),
	},
	{
		.key = "limits.connections",
		.type = KM_CONF_INTEGER,
		.preset = "512",
		.min = 1,
		.max = 65536,
		.help = "Connections open at once on one listener; further ones are refused.",
		FIELD(km_settings, limits.connections),
	},
	{
		.key = "limits.requestDeadline",
		.type = KM_CONF_DURATION_NS,
		.preset = "5s",
		.min = 0.1 * NS,
		.max = 600 * NS,
		.reload = true,
		.help = "From a request's first byte until its answer is sent; then the connection "
			"is shut.",
		FIELD(km_settings, limits.request_deadline_ns),
	},
	{
		.key = "limits.jsonDepth",
		.type = KM_CONF_INTEGER,
		.preset = "64",
		.min = 8,
		.max = 1000,
		.reload = true,
		.help = "Deepest nesting of a JSON body; deeper ones get 400.",
		FIELD(km_settings, limits.json_depth),
	},
	{
		.key = "nodes",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_nodes,
		.reload = true,
		.shown = "this host: the name in the environment variable NODE_NAME, else its own, "
			 "with all CPUs",
		.want = "a list of {name, cpus, cgroup}",
		.help = "The Kubernetes nodes that this process measures: name is required; cpus "
			"is a list such as \"0-2,5\", cgroup a path below cgroupfs.",
	},
	{
		.key = "collect.interval",
		.type = KM_CONF_DURATION_NS,
		.preset = "1s",
		.min = 0.1 * NS,
		.max = 60 * NS,
		.reload = true,
		.help = "Time between two readings of the sources.",
		FIELD(km_settings, collect.interval_ns),
	},
	{
		.key = "collect.window",
		.type = KM_CONF_DURATION_S,
		.preset = "60s",
		.min = 1,
		.max = 3600,
		.reload = true,
		.help = "Window of the statistics where no model says otherwise.",
		FIELD(km_settings, collect.window_s),
	},
	{
		.key = "collect.sources",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_sources,
		.preset = "auto",
		.reload = true,
		.want = "auto, or a list of source names and {replay: {file, node, speed, loop}}",
		.help = "Where counters come from: auto takes the best that this machine has; or "
			"a list whose items are a name (pcm, pcm-server, perf, resctrl, os) or "
			"{replay: {...}}. Of two that give the same count the first in the list "
			"is taken.",
	},
	{
		.key = "collect.probeInterval",
		.type = KM_CONF_DURATION_NS,
		.preset = "60s",
		.min = 1 * NS,
		.max = 3600 * NS,
		.reload = true,
		.help = "With sources: auto, how often sources that are absent are asked whether "
			"they work by now. When two looks in a row find a better set, sampling "
			"begins anew with it.",
		FIELD(km_settings, collect.probe_interval_ns),
	},
	{
		.key = "collect.pcm.library",
		.type = KM_CONF_STRING,
		.preset = "",
		.reload = true,
		.help = "File of libpcm; empty leaves the search to the loader.",
		FIELD(km_settings, collect.live.pcm_library),
	},
	{
		.key = "collect.pcm.isolation",
		.type = KM_CONF_CHOICE,
		.preset = "process",
		.choices = isolations,
		.reload = true,
		.help = "Whether libpcm runs in a process of its own, kubemarla-pcm, or in a "
			"thread of the daemon.",
		FIELD(km_settings, collect.live.pcm_isolation_process),
	},
	{
		.key = "collect.pcm.helper",
		.type = KM_CONF_STRING,
		.preset = "",
		.reload = true,
		.help = "File of kubemarla-pcm; empty is the one beside kubemarlad.",
		FIELD(km_settings, collect.live.pcm_helper),
	},
	{
		.key = "collect.pcmServer.url",
		.type = KM_CONF_STRING,
		.preset = "http://127.0.0.1:9738/metrics",
		.reload = true,
		.help = "Where a pcm-sensor-server shows its metrics; empty asks none.",
		FIELD(km_settings, collect.live.pcm_server_url),
	},
	{
		.key = "collect.perf.coreEvents",
		.type = KM_CONF_BOOL,
		.preset = "true",
		.reload = true,
		.help = "Whether perf counts core events. With false it gives memory bandwidth "
			"and C-states only and goes together with pcm or pcm-server.",
		FIELD(km_settings, collect.live.perf_core_events),
	},
	{
		.key = "collect.roots.procfs",
		.type = KM_CONF_STRING,
		.preset = "/proc",
		.reload = true,
		.help = "Where the host's procfs is; in a container it may be mounted elsewhere.",
		FIELD(km_settings, collect.live.procfs),
	},
	{
		.key = "collect.roots.sysfs",
		.type = KM_CONF_STRING,
		.preset = "/sys",
		.reload = true,
		.help = "Where the host's sysfs is.",
		FIELD(km_settings, collect.live.sysfs),
	},
	{
		.key = "collect.roots.resctrl",
		.type = KM_CONF_STRING,
		.preset = "/sys/fs/resctrl",
		.reload = true,
		.help = "Where resctrl is mounted.",
		FIELD(km_settings, collect.live.resctrl),
	},
	{
		.key = "collect.roots.cgroupfs",
		.type = KM_CONF_STRING,
		.preset = "/sys/fs/cgroup",
		.reload = true,
		.help = "Where the host's control groups are mounted.",
		FIELD(km_settings, collect.live.cgroupfs),
	},
	{
		.key = "model.path",
		.type = KM_CONF_STRING,
		.preset = "models/pcm-nginx/model.ubj",
		.reload = true,
		.help = "Model file; relative paths start at the current directory. Empty, absent "
			"or "
			"refused: answers are neutral.",
		FIELD(km_settings, model_path),
	},
#include "options_cluster.h"
#include "options_controller.h"
#include "options_decide.h"
};
/* clang-format on */

const struct km_conf_table conf_settings_table = { settings_rows, KM_ARRAY_LEN(settings_rows) };
