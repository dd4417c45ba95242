/* SPDX-License-Identifier: Apache-2.0 */
/* Objects by table of fields. */
#include "walk.h"

#include <errno.h>

#include "km/base/num.h"

static const struct km_field *find(const struct km_field *fields, size_t count,
                                   const struct km_ubj_text *key)
{
	for (size_t i = 0; i < count; i++) {
		if (km_ubj_text_is(key, fields[i].name))
			return &fields[i];
	}
	return NULL;
}

int km_walk_object(struct km_ubj *u, const char *what, const struct km_field *fields, size_t count,
                   void *ctx)
{
	uint32_t seen = 0;
	struct km_ubj_text key;
	int rc = km_ubj_object_begin(u, what);

	while (rc == 0) {
		const struct km_field *field;

		rc = km_ubj_object_next(u, &key);
		if (rc <= 0)
			break;
		field = find(fields, count, &key);
		if (!field) {
			rc = km_ubj_skip(u);
			continue;
		}
		if (seen & 1u << (field - fields))
			return km_ubj_bad(u, "%s: %s twice", what, field->name);
		seen |= 1u << (field - fields);
		rc = field->read(u, field->name, ctx);
	}
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (!fields[i].optional && !(seen & 1u << i))
			return km_ubj_bad(u, "%s: no %s", what, fields[i].name);
	}
	return rc;
}

int km_walk_number(struct km_ubj *u, const char *name, int64_t min, int64_t max, int64_t *out)
{
	struct km_ubj_text text;
	int rc = km_ubj_string(u, name, &text);

	if (rc != 0)
		return rc;
	if (km_num_int(text.text, text.len, out) != 0 || *out < min || *out > max)
		return km_ubj_bad(u, "%s: \"%.*s\", want %lld..%lld", name,
		                  (int)(text.len < 24 ? text.len : 24), text.text, (long long)min,
		                  (long long)max);
	return 0;
}
