/* SPDX-License-Identifier: Apache-2.0 */
/* From a pod's own words to the workload a decision is made for. Pure. */
#include "km/core/pod.h"

#include <math.h>
#include <string.h>

#include "km/base/hash.h"

#define SERVICE_SEED UINT64_C(0x6b6d736572766963)

void km_pod_init(struct km_pod *pod)
{
	*pod = (struct km_pod){ .rps = NAN, .max_slowdown = NAN };
}

const struct km_name *km_pod_label(const struct km_pod *pod, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < pod->label_count; i++) {
		const struct km_label *l = &pod->label[i];

		if (l->key.len == len && memcmp(l->key.text, key, len) == 0)
			return &l->value;
	}
	return NULL;
}

/* The name of a Deployment's ReplicaSet without the hash of its template, which a roll-out changes.
 */
static uint32_t owner_len(const struct km_pod *pod)
{
	const struct km_name *hash = km_pod_label(pod, "pod-template-hash");
	struct km_name owner = pod->owner_name;

	if (hash != NULL && hash->len > 0 && owner.len > hash->len + 1 &&
	    owner.text[owner.len - hash->len - 1] == '-' &&
	    memcmp(owner.text + owner.len - hash->len, hash->text, hash->len) == 0)
		return owner.len - hash->len - 1;
	return owner.len;
}

uint64_t km_pod_service(const struct km_pod *pod)
{
	uint64_t key;

	if (pod->owner_name.len == 0)
		return 0;
	key = km_hash64(pod->namespace.text, pod->namespace.len, SERVICE_SEED);
	key = km_hash64(pod->owner_kind.text, pod->owner_kind.len, key);
	key = km_hash64(pod->owner_name.text, owner_len(pod), key);
	return key != 0 ? key : 1;
}

void km_pod_workload(const struct km_pod *pod, const struct km_workload *base,
                     double min_max_slowdown, struct km_workload *out)
{
	*out = *base;
	if (isfinite(pod->rps))
		out->rps = pod->rps * base->replicas;
	if (isfinite(pod->max_slowdown))
		out->max_slowdown = fmax(pod->max_slowdown, min_max_slowdown);
	if (pod->class_name.len > 0 && pod->class_name.len < sizeof(out->class_name)) {
		memcpy(out->class_name, pod->class_name.text, pod->class_name.len);
		out->class_name[pod->class_name.len] = '\0';
	}
}
