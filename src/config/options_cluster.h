/* SPDX-License-Identifier: Apache-2.0 */
/* A part of the table in options.c: features and kubernetes. */
/* clang-format off */
	{
		.key = "features.from",
		.type = CONF_CHOICE,
		.preset = "local",
		.choices = feature_origins,
		.help = "Whose features decisions are made from. Only local (this process's own "
			"agent) is built in yet.",
		FIELD(km_settings, features_from),
	},
	{
		.key = "features.url",
		.type = CONF_STRING,
		.preset = "",
		.help = "Prometheus server, with features.from: prometheus. Not used yet.",
		FIELD(km_settings, prometheus_url),
	},
	{
		.key = "kubernetes.enabled",
		.type = CONF_CHOICE,
		.preset = "auto",
		.choices = kubernetes_modes,
		.help = "Whether to watch a Kubernetes API. Not built in yet: auto and off mean "
			"the "
			"same, on is refused.",
		FIELD(km_settings, kubernetes.enabled),
	},
	{
		.key = "kubernetes.kubeconfig",
		.type = CONF_STRING,
		.preset = "",
		.help = "File that says where the API server is and who we are to it; empty is "
			"the pod's own service account, else $KUBECONFIG, else ~/.kube/config. "
			"Credentials that need a program to be run are refused.",
		FIELD(km_settings, kubernetes.kubeconfig),
	},
	{
		.key = "kubernetes.context",
		.type = CONF_STRING,
		.preset = "",
		.help = "Which context of the kubeconfig; empty is its current one.",
		FIELD(km_settings, kubernetes.context),
	},
	{
		.key = "kubernetes.namespace",
		.type = CONF_STRING,
		.preset = "",
		.help = "Namespace of our own objects, agents and Lease among them; empty is that "
			"of the service account or context.",
		FIELD(km_settings, kubernetes.namespace),
	},
