/* SPDX-License-Identifier: Apache-2.0 */
/* A part of the table in options.c: decide. */
/* clang-format off */
	{
		.key = "decide.maxAge",
		.type = KM_CONF_DURATION_NS,
		.preset = "15s",
		.min = 1 * NS,
		.max = 3600 * NS,
		.reload = true,
		.help = "Features older than this are stale.",
		FIELD(km_settings, decide.max_age_ns),
	},
	{
		.key = "decide.onStale",
		.type = KM_CONF_CHOICE,
		.preset = "Neutral",
		.choices = on_stales,
		.reload = true,
		.help = "What a node without usable data gets: Neutral passes and scores low among "
			"the fresh, Avoid scores 0, Reject filters it out in mode Enforce "
			"(of a policy; otherwise it is Avoid).",
		FIELD(km_settings, decide.on_stale),
	},
	{
		.key = "decide.scoreScale",
		.type = KM_CONF_CHOICE_INTEGER,
		.preset = "10",
		.choices = score_scales,
		.reload = true,
		.help = "Highest score. 10 is the documented range of an extender; 100 is finer: "
			"divide the extender's weight by 10 then.",
		FIELD(km_settings, decide.score_scale),
	},
	{
		.key = "decide.minMaxSlowdown",
		.type = KM_CONF_NUMBER,
		.preset = "1.2",
		.unit = "ratio",
		.min = 1.05,
		.max = 100,
		.reload = true,
		.help = "The strictest maxSlowdown that a pod or policy may demand.",
		FIELD(km_settings, decide.min_max_slowdown),
	},
	{
		.key = "decide.risk",
		.type = KM_CONF_NUMBER,
		.preset = "0.5",
		.unit = "quantile",
		.min = 0.5,
		.max = 0.95,
		.reload = true,
		.help = "Quantile of a prediction's interval that is scored: 0.5 is the prediction "
			"itself, 0.95 its upper bound. The higher, the lower a node scores whose "
			"counters are outside of what the model was trained on. Data older than "
			"half of maxAge is scored at 0.8 at least.",
		FIELD(km_settings, decide.risk),
	},
	{
		.key = "decide.harm.filter",
		.type = KM_CONF_BOOL,
		.preset = "true",
		.reload = true,
		.help = "Whether a node is filtered out, in mode Enforce, when a protected pod "
			"there would be slowed down beyond its maxSlowdown.",
		FIELD(km_settings, decide.harm_filter),
	},
	{
		.key = "decide.harm.score",
		.type = KM_CONF_BOOL,
		.preset = "true",
		.reload = true,
		.help = "Whether harm to protected pods lowers a node's score.",
		FIELD(km_settings, decide.harm_score),
	},
	{
		.key = "decide.ledger",
		.type = KM_CONF_CHOICE,
		.preset = "on",
		.choices = switches,
		.reload = true,
		.help = "Whether pods on their way to a node count although its counters do not "
			"show "
			"them yet. off is for comparison: a burst of pods then goes to one node.",
		FIELD(km_settings, decide.ledger_off),
	},
	{
		.key = "decide.reservationTTL",
		.type = KM_CONF_DURATION_NS,
		.preset = "0s",
		.min = 0,
		.max = 3600 * NS,
		.reload = true,
		.help = "How long a pod is expected on the node that our answer preferred, where "
			"no "
			"pod feed tells; 0s is the model's window. With a feed it is 2s.",
		FIELD(km_settings, decide.reservation_ttl_ns),
	},
	{
		.key = "decide.unknownSlowdown",
		.type = KM_CONF_NUMBER,
		.preset = "1.1",
		.unit = "ratio",
		.min = 1,
		.max = 10,
		.reload = true,
		.help = "Slowdown that a pod on its way to a node is taken to cause where neither "
			"the model, nor a footprint, nor learned effects know pods of its kind.",
		FIELD(km_settings, decide.unknown_slowdown),
	},
	{
		.key = "decide.policies",
		.type = KM_CONF_STRING,
		.preset = "",
		.reload = true,
		.help = "File of InterferencePolicies, beside those of the Kubernetes API: one, or a List "
			"of them; empty is none.",
		FIELD(km_settings, decide.policies_path),
	},
	{
		.key = "decide.trustedNamespaces",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_namespaces,
		.preset = "",
		.reload = true,
		.want = "a list of namespaces, or \"*\"",
		.shown = "none",
		.help = "Whose policies in that file may protect pods that are there, and ask "
			"queries.",
		FIELD(km_settings, decide.trusted_namespaces),
	},
	{
		.key = "decide.effects",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File of learned effects of pods on one another; read at start if it is "
			"there, written every five minutes and at stop when something was learned; "
			"empty is none. A damaged one is renamed to end in .bad. Nothing observes "
			"slowdowns in this release.",
		FIELD(km_settings, decide.effects_path),
	},
	{
		.key = "decide.log",
		.type = KM_CONF_STRING,
		.preset = "",
		.reload = true,
		.help = "File to which decisions are appended as JSON lines, with what they were "
			"made from, for kubemarla replay; empty is off. SIGHUP opens it anew. A "
			"call "
			"with 5,000 nodes is some 60 KB, and 2 MB more when all their counters "
			"changed.",
		FIELD(km_settings, decide.log_path),
	},
	{
		.key = "decide.defaultWorkload.rps",
		.type = KM_CONF_NUMBER,
		.preset = "1000",
		.unit = "requests/s",
		.min = 0.001,
		.max = 1e9,
		.reload = true,
		.help = "Load assumed for a pod that says nothing of its own.",
		FIELD(km_settings, decide.default_workload.rps),
	},
	{
		.key = "decide.defaultWorkload.replicas",
		.type = KM_CONF_NUMBER,
		.preset = "1",
		.min = 1,
		.max = 100000,
		.reload = true,
		.help = "Replicas of its service on the node, the pod itself included.",
		FIELD(km_settings, decide.default_workload.replicas),
	},
	{
		.key = "decide.defaultWorkload.maxSlowdown",
		.type = KM_CONF_NUMBER,
		.preset = "2.0",
		.unit = "ratio",
		.min = 1.05,
		.max = 100,
		.reload = true,
		.help = "Slowdown (p99 there / p99 alone) that it is taken to tolerate.",
		FIELD(km_settings, decide.default_workload.max_slowdown),
	},
