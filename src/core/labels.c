/* SPDX-License-Identifier: Apache-2.0 */
#include "km/core/labels.h"

#include <errno.h>
#include <string.h>

int km_labels_parse(const char *text, struct km_labels *out, struct km_err *err)
{
	out->count = 0;
	while (*text != '\0') {
		size_t len = strcspn(text, ",");
		const char *equals = memchr(text, '=', len);
		size_t key_len = equals != NULL ? (size_t)(equals - text) : len;
		size_t value_len = equals != NULL ? len - key_len - 1 : 0;

		if (key_len == 0 || out->count == KM_LABELS_MAX ||
		    strcspn(text, " \t!()<>") < len) {
			return km_err_set(err, EINVAL,
			                  "saw \"%.60s\", want key=value or key, with commas "
			                  "between, %d at most",
			                  text, KM_LABELS_MAX);
		}
		out->term[out->count++] = (struct km_labels_term){
			.key = { text, (uint32_t)key_len },
			.value = { equals != NULL ? equals + 1 : "", (uint32_t)value_len },
			.valued = equals != NULL,
		};
		text += len + (text[len] == ',');
	}
	return out->count > 0 ? 0 : km_err_set(err, EINVAL, "saw no label, want one at least");
}

static bool same_text(struct km_name a, struct km_name b)
{
	return a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
}

static bool holds(const struct km_labels_term *t, const struct km_pod *pod)
{
	for (size_t i = 0; i < pod->label_count; i++) {
		if (same_text(pod->label[i].key, t->key)) {
			return !t->valued || same_text(pod->label[i].value, t->value);
		}
	}
	return false;
}

bool km_labels_match(const struct km_labels *l, const struct km_pod *pod)
{
	for (size_t i = 0; i < l->count; i++) {
		if (!holds(&l->term[i], pod)) {
			return false;
		}
	}
	return true;
}
