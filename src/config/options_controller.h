/* SPDX-License-Identifier: Apache-2.0 */
/* A part of the table in options.c: the controller. */
/* clang-format off */
	{
		.key = "controller.lease",
		.type = KM_CONF_STRING,
		.preset = "kubemarla-controller",
		.help = "Name of the Lease by which, of several controllers, one acts; in "
			"kubernetes.namespace.",
		FIELD(km_settings, controller.lease),
	},
	{
		.key = "controller.interval",
		.type = KM_CONF_DURATION_NS,
		.preset = "5s",
		.min = 1 * NS,
		.max = 300 * NS,
		.help = "How often policies are looked at: their status, and whether to move pods. "
			"Rejected pods are looked at each second.",
		FIELD(km_settings, controller.interval_ns),
	},
	{
		.key = "controller.prometheus",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Base URL of the Prometheus that the queries of policies are asked of; "
			"empty is features.url. With neither they are not asked.",
		FIELD(km_settings, controller.prometheus),
	},
	{
		.key = "controller.queryInterval",
		.type = KM_CONF_DURATION_NS,
		.preset = "15s",
		.min = 1 * NS,
		.max = 3600 * NS,
		.help = "How often. An answer older than a minute counts as none.",
		FIELD(km_settings, controller.query_interval_ns),
	},
