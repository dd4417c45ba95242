/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPUs each node of this machine has: those of its settings; else those its control group may
 * use, looked at again now and then, since a container can be pinned anew while it runs; else, for
 * a node alone on the machine, all.
 */
#include <string.h>

#include "km/base/log.h"
#include "km/sources/cgroup.h"

#include "agent_internal.h"

#define LOOK_NS (10 * KM_NS_PER_S)

static bool has_group(const struct km_node_settings *n)
{
	return n->cgroup != NULL && n->cgroup[0] != '\0';
}

/* The CPUs as its settings or its group say. returns whether they are known. */
static bool look_up(const struct km_agent *a, const struct km_node_settings *n,
                    struct km_cpuset *out)
{
	if (n->cpus_given) {
		*out = n->cpus;
		return true;
	}
	return has_group(n) &&
	       km_cgroup_cpus(a->settings->collect.live.cgroupfs, n->cgroup, out, NULL) == 0;
}

/*
 * A CPU belongs to one node or to none: settings go before groups, and a CPU that two groups may
 * use tells nothing of either.
 */
static void settle_shared(const struct agent_host *h, struct km_cpuset *cpus)
{
	struct km_cpuset taken = { .word = { 0 } }; /* by settings, or by more than one group */

	for (size_t w = 0; w < KM_ARRAY_LEN(taken.word); w++) {
		uint64_t once = 0;

		for (size_t i = 0; i < h->node_count; i++) {
			if (h->node[i]->cpus_given) {
				taken.word[w] |= cpus[i].word[w];
			} else {
				taken.word[w] |= once & cpus[i].word[w];
				once |= cpus[i].word[w];
			}
		}
		for (size_t i = 0; i < h->node_count; i++) {
			if (!h->node[i]->cpus_given) {
				cpus[i].word[w] &= ~taken.word[w];
			}
		}
	}
}

static void say(const struct agent_host *h, size_t i, const struct km_cpuset *cpus)
{
	bool shared = memcmp(cpus, &h->claimed[i], sizeof(*cpus)) != 0;
	struct km_buf text;

	km_buf_init(&text);
	km_cpuset_format(cpus, &text);
	km_log_info("agent", "node map node=%s cpus=%s from=%s%s", h->node[i]->name,
	            text.len > 0 ? km_buf_cstr(&text) : "none",
	            h->node[i]->cpus_given ? "settings" : "group",
	            shared ? " note=\"others may use CPUs of its group: they count for none\""
	                   : "");
	km_buf_fini(&text);
}

bool agent_nodemap_follows(const struct agent_host *h)
{
	for (size_t i = 0; i < h->node_count; i++) {
		if (!h->node[i]->cpus_given && has_group(h->node[i])) {
			return true;
		}
	}
	return false;
}

bool agent_nodemap_look(const struct km_agent *a, struct agent_host *h, int64_t now_ns,
                        struct km_cpuset *next)
{
	bool changed = false;

	h->nodemap_ns = now_ns + LOOK_NS;
	for (size_t i = 0; i < h->node_count; i++) {
		if (look_up(a, h->node[i], &next[i])) {
			h->claimed[i] = next[i];
		} else {
			next[i] = h->claimed[i]; /* not there, for now perhaps: what was known stays
			                          */
		}
	}
	settle_shared(h, next);
	for (size_t i = 0; i < h->node_count; i++) {
		if (memcmp(&next[i], &h->cpus[i], sizeof(next[i])) != 0) {
			say(h, i, &next[i]);
			changed = true;
		}
	}
	return changed;
}
