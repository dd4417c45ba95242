/* SPDX-License-Identifier: Apache-2.0 */
/* The options of list items: an entry of nodes, and a replay in collect.sources. */
#include "config_internal.h"

#define FIELD(type_, member)                                                                       \
	.offset = offsetof(struct type_, member), .size = sizeof(((struct type_ *)0)->member)

/* clang-format off: a table */
static const struct km_conf_option node_rows[] = {
	{
		.key = "name",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_node_name,
		.required = true,
		.want = "a node name of 1 to 253 letters, digits, '-', '.' or '_'",
		.help = "Name of the node in Kubernetes.",
		FIELD(km_node_settings, name),
	},
	{
		.key = "cpus",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_cpus,
		.shown = "those of its control group, else all CPUs of its host",
		.want = "a CPU list such as \"0-2,5\"",
		.help = "Its logical CPUs.",
		FIELD(km_node_settings, cpus),
	},
	{
		.key = "cgroup",
		.type = KM_CONF_STRING,
		.preset = "",
		.help = "Path of its control group below the hierarchy's root, the same in all "
			"hierarchies: the source os reads its pressure and throttling, and "
			"without cpus its cpuset says which CPUs the node has. Only for nodes on "
			"this host.",
		FIELD(km_node_settings, cgroup),
	},
};

static const struct km_conf_option replay_rows[] = {
	{
		.key = "file",
		.type = KM_CONF_STRING,
		.required = true,
		.help = "A trace written by pcm -csv or kubemarla-lab, plain or gzip; relative "
			"paths start at the current directory.",
		FIELD(km_replay_settings, file),
	},
	{
		.key = "node",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_replay_nodes,
		.want = "the name of a node in nodes",
		.help = "The node on the traced host.",
	},
	{
		.key = "nodes",
		.type = KM_CONF_CUSTOM,
		.custom = conf_parse_replay_nodes,
		.want = "a list of names of nodes in nodes",
		.help = "The nodes on the traced host, when there are several.",
	},
	{
		.key = "speed",
		.type = KM_CONF_NUMBER,
		.preset = "1",
		.unit = "trace s per s",
		.min = 0.001,
		.max = 1e6,
		.help = "How fast trace time runs.",
		FIELD(km_replay_settings, speed),
	},
	{
		.key = "loop",
		.type = KM_CONF_BOOL,
		.preset = "false",
		.help = "Whether the trace begins again after its end.",
		FIELD(km_replay_settings, loop),
	},
};
/* clang-format on */

const struct km_conf_table conf_node_table = { node_rows, KM_ARRAY_LEN(node_rows) };
const struct km_conf_table conf_replay_table = { replay_rows, KM_ARRAY_LEN(replay_rows) };
