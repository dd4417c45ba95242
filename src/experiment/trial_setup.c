/* SPDX-License-Identifier: Apache-2.0 */
/* What a trial was played with: a table of where each part is said. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "km/base/file.h"
#include "km/base/num.h"
#include "km/experiment/trial_result.h"
#include "km/wire/json.h"
#include "km/wire/pick.h"

#define FILE_BYTES (1u << 20)
#define PATH_BYTES 4096

/* Where each is: in one file or the other, by its path there. */
struct place {
	const char *path;
	size_t offset;
	bool number; /* else a text */
};

static const struct place own[] = {
	{ "model", offsetof(struct km_trial_setup, model), false },
	{ "windowSeconds", offsetof(struct km_trial_setup, window_s), true },
	{ "binSeconds", offsetof(struct km_trial_setup, bin_s), true },
};

static const struct place provenance[] = {
	{ "name", offsetof(struct km_trial_setup, name), false },
	{ "kubemarlaLab", offsetof(struct km_trial_setup, version), false },
	{ "machine/cpu", offsetof(struct km_trial_setup, cpu), false },
	{ "machine/cpus", offsetof(struct km_trial_setup, cpus), true },
	{ "machine/kernel", offsetof(struct km_trial_setup, kernel), false },
	{ "machine/distribution", offsetof(struct km_trial_setup, system), false },
	{ "tier", offsetof(struct km_trial_setup, tier), false },
	{ "target", offsetof(struct km_trial_setup, target), false },
	{ "generator", offsetof(struct km_trial_setup, generator), false },
	{ "groups", offsetof(struct km_trial_setup, groups), false },
};

void km_trial_setup_init(struct km_trial_setup *s)
{
	*s = (struct km_trial_setup){ .cpus = NAN, .window_s = NAN, .bin_s = NAN };
}

void km_trial_setup_encode(struct km_buf *out, const struct km_trial_setup *s)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	for (size_t i = 0; i < KM_ARRAY_LEN(own); i++) {
		const char *at = (const char *)s + own[i].offset;
		double value;

		if (own[i].number) {
			memcpy(&value, at, sizeof(value));
			km_json_put_number(&j, own[i].path, value);
		} else {
			km_json_put_string(&j, own[i].path, at);
		}
	}
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

static void take(const struct km_json_slice *whole, const struct place *place,
                 struct km_trial_setup *out)
{
	char *at = (char *)out + place->offset;
	struct km_json_slice slice;
	double value;

	if (!place->number) {
		(void)km_json_pick_text(whole, place->path, at, KM_TRIAL_SETUP_TEXT_MAX);
		return;
	}
	slice = km_json_pick(whole, place->path);
	if (slice.kind == KM_JSON_NUMBER && km_num_double(slice.text, slice.len, &value) == 0)
		memcpy(at, &value, sizeof(value));
}

static void read_file(const char *dir, const char *name, const struct place *place, size_t places,
                      struct km_trial_setup *out)
{
	char path[PATH_BYTES];
	struct km_json_slice whole;
	struct km_buf text;

	if (snprintf(path, sizeof(path), "%s/trial/%s", dir, name) >= (int)sizeof(path))
		return;
	km_buf_init(&text);
	if (km_file_read(path, FILE_BYTES, &text, NULL) == 0 &&
	    km_json_whole(text.data, text.len, &whole, NULL) == 0) {
		for (size_t i = 0; i < places; i++)
			take(&whole, &place[i], out);
	}
	km_buf_fini(&text);
}

void km_trial_setup_read(const char *dir, struct km_trial_setup *out)
{
	km_trial_setup_init(out);
	read_file(dir, "setup.json", own, KM_ARRAY_LEN(own), out);
	read_file(dir, "provenance.json", provenance, KM_ARRAY_LEN(provenance), out);
}
