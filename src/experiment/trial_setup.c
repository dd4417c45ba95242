/* SPDX-License-Identifier: Apache-2.0 */
/* What a trial was played with: a table of texts, written once and shown with every result. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "km/base/file.h"
#include "km/base/num.h"
#include "km/experiment/trial_result.h"
#include "km/wire/json.h"
#include "km/wire/pick.h"

#define FILE_BYTES (1u << 20)
#define PATH_BYTES 4096

static const struct {
	const char *key;
	size_t offset;
} texts[] = {
	{ "name", offsetof(struct km_trial_setup, name) },
	{ "version", offsetof(struct km_trial_setup, version) },
	{ "cpu", offsetof(struct km_trial_setup, cpu) },
	{ "kernel", offsetof(struct km_trial_setup, kernel) },
	{ "system", offsetof(struct km_trial_setup, system) },
	{ "model", offsetof(struct km_trial_setup, model) },
	{ "tier", offsetof(struct km_trial_setup, tier) },
	{ "target", offsetof(struct km_trial_setup, target) },
	{ "generator", offsetof(struct km_trial_setup, generator) },
	{ "groups", offsetof(struct km_trial_setup, groups) },
};

static const struct {
	const char *key;
	size_t offset;
} numbers[] = {
	{ "cpus", offsetof(struct km_trial_setup, cpus) },
	{ "windowSeconds", offsetof(struct km_trial_setup, window_s) },
	{ "binSeconds", offsetof(struct km_trial_setup, bin_s) },
};

void km_trial_setup_init(struct km_trial_setup *s)
{
	*s = (struct km_trial_setup){ .cpus = NAN, .window_s = NAN, .bin_s = NAN };
}

/* The text behind `key` and a separator in the first line that begins with key. */
static void line_of(const char *path, const char *key, char separator, char *out, size_t size)
{
	struct km_buf text;
	const char *at;

	km_buf_init(&text);
	if (km_file_read(path, FILE_BYTES, &text, NULL) == 0) {
		at = strstr(km_buf_cstr(&text), key);
		at = at != NULL ? strchr(at, separator) : NULL;
		if (at != NULL) {
			at += 1 + strspn(at + 1, " \t\"");
			(void)snprintf(out, size, "%.*s", (int)strcspn(at, "\"\n"), at);
		}
	}
	km_buf_fini(&text);
}

void km_trial_setup_machine(struct km_trial_setup *s)
{
	struct utsname name;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	line_of("/proc/cpuinfo", "model name", ':', s->cpu, sizeof(s->cpu));
	line_of("/etc/os-release", "PRETTY_NAME", '=', s->system, sizeof(s->system));
	if (uname(&name) == 0)
		(void)snprintf(s->kernel, sizeof(s->kernel), "%.60s %.60s", name.sysname,
		               name.release);
	s->cpus = cpus > 0 ? (double)cpus : (double)NAN;
}

void km_trial_setup_encode(struct km_buf *out, const struct km_trial_setup *s)
{
	struct km_json j = km_json_to(out);

	km_json_begin(&j, '{');
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++)
		km_json_put_string(&j, texts[i].key, (const char *)s + texts[i].offset);
	for (size_t i = 0; i < KM_ARRAY_LEN(numbers); i++) {
		double value;

		memcpy(&value, (const char *)s + numbers[i].offset, sizeof(value));
		km_json_put_number(&j, numbers[i].key, value);
	}
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

void km_trial_setup_decode(const char *text, size_t len, struct km_trial_setup *out)
{
	struct km_json_slice whole;

	km_trial_setup_init(out);
	if (km_json_whole(text, len, &whole, NULL) != 0)
		return;
	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++)
		(void)km_json_pick_text(&whole, texts[i].key, (char *)out + texts[i].offset,
		                        KM_TRIAL_SETUP_TEXT_MAX);
	for (size_t i = 0; i < KM_ARRAY_LEN(numbers); i++) {
		const struct km_json_slice at = km_json_pick(&whole, numbers[i].key);
		double value;

		if (at.kind == KM_JSON_NUMBER && km_num_double(at.text, at.len, &value) == 0)
			memcpy((char *)out + numbers[i].offset, &value, sizeof(value));
	}
}

void km_trial_setup_read(const char *dir, struct km_trial_setup *out)
{
	char path[PATH_BYTES];
	struct km_buf text;

	km_trial_setup_init(out);
	if (snprintf(path, sizeof(path), "%s/trial/setup.json", dir) >= (int)sizeof(path))
		return;
	km_buf_init(&text);
	if (km_file_read(path, FILE_BYTES, &text, NULL) == 0)
		km_trial_setup_decode(text.data, text.len, out);
	km_buf_fini(&text);
}
