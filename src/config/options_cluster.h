/* SPDX-License-Identifier: Apache-2.0 */
/* A part of the table in options.c: features and kubernetes. */
/* clang-format off */
	{
		.key = "features.from",
		.type = KM_CONF_CHOICE,
		.preset = "auto",
		.choices = feature_origins,
		.help = "Whose features decisions are made from: peers asks the agents of the "
			"cluster, prometheus asks a Prometheus server that scrapes them, local "
			"is this process's own agent alone, auto is peers with Kubernetes and "
			"local without. This process's own agent always counts.",
		FIELD(km_settings, features.from),
	},
	{
		.key = "features.url",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Prometheus server, with features.from: prometheus.",
		FIELD(km_settings, features.url),
	},
	{
		.key = "features.interval",
		.type = KM_CONF_DURATION_NS,
		.preset = "5s",
		.min = 0.1 * NS,
		.max = 300 * NS,
		.help = "Time between two questions to one agent, or to Prometheus.",
		FIELD(km_settings, features.interval_ns),
	},
	{
		.key = "features.timeout",
		.type = KM_CONF_DURATION_NS,
		.preset = "2s",
		.min = 0.1 * NS,
		.max = 60 * NS,
		.help = "How long one of them may take to answer.",
		FIELD(km_settings, features.timeout_ns),
	},
	{
		.key = "features.port",
		.type = KM_CONF_INTEGER,
		.preset = "9192",
		.min = 1,
		.max = 65535,
		.help = "Port on which agents answer: their observe.port.",
		FIELD(km_settings, features.port),
	},
	{
		.key = "features.selector",
		.type = KM_CONF_STRING,
		.preset = "app.kubernetes.io/name=kubemarla,app.kubernetes.io/component=agent",
		.help = "Labels of agents' pods in kubernetes.namespace: key=value or key, with "
			"commas between; all must hold.",
		FIELD(km_settings, features.selector),
	},
	{
		.key = "features.tls.ca",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File of the CA that agents' certificates come from; agents are asked by "
			"https then. Empty is plain HTTP.",
		FIELD(km_settings, features.tls_ca),
	},
	{
		.key = "features.tls.cert",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File of the certificate that is shown to agents; empty is none.",
		FIELD(km_settings, features.tls_cert),
	},
	{
		.key = "features.tls.key",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File of its key.",
		FIELD(km_settings, features.tls_key),
	},
	{
		.key = "features.tls.serverName",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Name that agents' certificates are for, since their addresses come and "
			"go; empty is the address.",
		FIELD(km_settings, features.tls_server_name),
	},
	{
		.key = "kubernetes.enabled",
		.type = KM_CONF_CHOICE,
		.preset = "auto",
		.choices = kubernetes_modes,
		.help = "Whether to watch a Kubernetes API: auto does in a pod with a service "
			"account, and where kubernetes.kubeconfig names a file; on also looks for "
			"$KUBECONFIG and ~/.kube/config, and does not start without credentials. "
			"The agent role alone never does.",
		FIELD(km_settings, kubernetes.enabled),
	},
	{
		.key = "kubernetes.kubeconfig",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "File that says where the API server is and who we are to it; empty is "
			"the pod's own service account, else $KUBECONFIG, else ~/.kube/config. "
			"Credentials that need a program to be run are refused.",
		FIELD(km_settings, kubernetes.kubeconfig),
	},
	{
		.key = "kubernetes.context",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Which context of the kubeconfig; empty is its current one.",
		FIELD(km_settings, kubernetes.context),
	},
	{
		.key = "kubernetes.namespace",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Namespace of our own objects, agents and Lease among them; empty is that "
			"of the service account or context.",
		FIELD(km_settings, kubernetes.namespace),
	},
