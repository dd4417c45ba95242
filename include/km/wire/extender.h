/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler extender's v1 messages as kube-scheduler sends and reads them: ExtenderArgs in,
 * ExtenderFilterResult and HostPriorityList out. Top-level keys are Go field names; Go matches them
 * in any case and lets the last of doubled keys win, and so do we.
 * Source: k8s.io/kube-scheduler/extender/v1/types.go.
 */
#ifndef KM_WIRE_EXTENDER_H
#define KM_WIRE_EXTENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/core/name.h"
#include "km/core/pod.h"

/* Fifty times what Kubernetes is made for, 5,000 nodes. Bounds what a hostile body costs us. */
#define KM_EXTENDER_NAMES_MAX 262144

/* How the request named its nodes; the answer has to use the same form. */
enum km_extender_form {
	KM_EXTENDER_NONE,       /* NodeNames and Nodes both null: nothing to judge */
	KM_EXTENDER_NODE_NAMES, /* nodeCacheCapable: true */
	KM_EXTENDER_NODES,      /* whole Node objects: nodeCacheCapable is false */
};

/*
 * A decoded request. Every distinct name stands once, in the order of its first occurrence:
 * kube-scheduler would sum the scores of doubled hosts. All of it borrows from the body and lives
 * in the arena.
 */
struct km_extender_args {
	struct km_pod pod;
	enum km_extender_form form;
	size_t count;          /* distinct names */
	size_t repeated;       /* names dropped because they stood there before */
	struct km_name *name;  /* [count], decoded */
	struct km_name *token; /* [count], as it stands in the body: in quotes, still escaped */
	struct km_name
		*item; /* [count], the whole Node object; KM_EXTENDER_NODES only, else NULL */
};

/*
 * Decodes a request body; bytes behind the JSON value are ignored, as Go's decoder does. A pod that
 * is null or odd is no error (the default workload then serves); a body that is not an
 * ExtenderArgs object is. `seed` keeps hostile names from colliding: any value that the client
 * cannot know.
 * returns 0; -EINVAL with what is wrong and where; -ENOMEM. Any thread.
 */
int km_extender_decode(const char *body, size_t len, uint32_t depth_max, uint64_t seed,
                       struct km_arena *arena, struct km_extender_args *out,
                       struct km_err *err) KM_MUST_CHECK;

/* Why a node is filtered out. The text is the same for every node: kube-scheduler groups by it. */
struct km_extender_reason {
	const char *text;  /* static storage */
	bool unresolvable; /* evicting pods would not help: FailedAndUnresolvableNodes */
};

#define KM_EXTENDER_PASS UINT8_MAX

/*
 * Both answers end with their value, without a newline: kube-scheduler decodes one value and closes
 * the body, and Go's client gives a connection up when a byte of the body is left then. Which it is
 * or not depends on the length (tests/go/extender-client).
 */

/*
 * Appends an ExtenderFilterResult. outcome [args->count]: KM_EXTENDER_PASS, or an index into
 * reasons [reason_count]; NULL lets every node pass. Check the buffer afterwards.
 */
void km_extender_write_filter(struct km_buf *out, const struct km_extender_args *args,
                              const uint8_t *outcome, const struct km_extender_reason *reasons,
                              size_t reason_count);

/* Appends a HostPriorityList. score [args->count]. Check the buffer afterwards. */
void km_extender_write_priorities(struct km_buf *out, const struct km_extender_args *args,
                                  const int32_t *score);

#endif
