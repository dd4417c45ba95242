/* SPDX-License-Identifier: Apache-2.0 */
#include "provenance.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "km/base/file.h"
#include "km/base/num.h"
#include "km/wire/json.h"
#include "km/wire/kube_write.h"

#define FILE_MAX_BYTES (1u << 20)
#define TEXT_MAX       160
#define CACHES_MAX     8
#define STORIES_MAX    100
#define START_KEY      ",\"startTime\"" /* the one thing that always differs: last */

/* "" when it cannot be read. */
static void read_small(const char *root, const char *name, struct km_buf *out)
{
	char path[PATH_MAX];

	km_buf_clear(out);
	if (snprintf(path, sizeof(path), "%s%s", root, name) < (int)sizeof(path) &&
	    km_file_read(path, FILE_MAX_BYTES, out, NULL) != 0)
		km_buf_clear(out);
}

/*
 * The value behind the first line that begins with `key`, after any of " \t:=\"". out [TEXT_MAX],
 * "" when there is none.
 */
static void value_of(const char *text, const char *key, char *out)
{
	size_t key_len = strlen(key);
	size_t len;

	out[0] = '\0';
	while (*text != '\0' && strncmp(text, key, key_len) != 0)
		text += strcspn(text, "\n") + (text[strcspn(text, "\n")] != '\0');
	if (*text == '\0')
		return;
	text += key_len;
	text += strspn(text, " \t:=\"");
	len = strcspn(text, "\"\n");
	if (len >= TEXT_MAX)
		len = TEXT_MAX - 1;
	memcpy(out, text, len);
	out[len] = '\0';
	while (len > 0 && isspace((unsigned char)out[len - 1]))
		out[--len] = '\0';
}

static void put_text(struct km_json *j, const char *key, const char *text)
{
	km_json_put_string(j, key, text[0] != '\0' ? text : NULL);
}

static void put_caches(struct km_json *j, const char *sysfs)
{
	static const char *const files[] = { "level", "type", "size" };
	struct km_buf text;
	char name[96];

	km_buf_init(&text);
	km_json_key(j, "caches");
	km_json_begin(j, '[');
	for (int i = 0; i < CACHES_MAX; i++) {
		char value[3][TEXT_MAX];

		for (size_t k = 0; k < KM_ARRAY_LEN(files); k++) {
			(void)snprintf(name, sizeof(name),
			               "/devices/system/cpu/cpu0/cache/index%d/%s", i, files[k]);
			read_small(sysfs, name, &text);
			value_of(km_buf_cstr(&text), "", value[k]);
		}
		if (value[0][0] == '\0')
			break;
		km_json_begin(j, '{');
		for (size_t k = 0; k < KM_ARRAY_LEN(files); k++)
			put_text(j, files[k], value[k]);
		km_json_end(j, '}');
	}
	km_json_end(j, ']');
	km_buf_fini(&text);
}

/* MemTotal is in kB, which are 1024 bytes. */
static double memory_bytes(const char *meminfo)
{
	char text[TEXT_MAX];
	int64_t kib;

	value_of(meminfo, "MemTotal:", text);
	if (km_num_int(text, strcspn(text, " "), &kib) != 0)
		return NAN;
	return (double)kib * 1024;
}

static void put_machine(struct km_json *j, const struct experiment_origin *o)
{
	const struct km_live_settings *live = &o->plan->collect.live;
	struct utsname kernel = { .release = "" };
	char text[TEXT_MAX];
	struct km_buf file;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	km_buf_init(&file);
	(void)uname(&kernel); /* fails for a bad address alone */
	km_json_key(j, "machine");
	km_json_begin(j, '{');
	read_small(live->procfs, "/cpuinfo", &file);
	value_of(km_buf_cstr(&file), "model name", text);
	put_text(j, "cpu", text);
	km_json_put_number(j, "cpus", cpus > 0 ? (double)cpus : (double)NAN);
	km_json_key(j, "virtual");
	if (file.len > 0)
		km_json_bool(j, strstr(km_buf_cstr(&file), " hypervisor") != NULL);
	else
		km_json_string(j, NULL);
	put_caches(j, live->sysfs);
	read_small(live->procfs, "/meminfo", &file);
	km_json_put_number(j, "memoryBytes", memory_bytes(km_buf_cstr(&file)));
	read_small(live->sysfs, "/devices/system/cpu/cpu0/cpufreq/scaling_governor", &file);
	value_of(km_buf_cstr(&file), "", text);
	put_text(j, "frequencyGovernor", text);
	put_text(j, "kernel", kernel.release);
	put_text(j, "architecture", kernel.machine);
	read_small("", o->os_release, &file);
	value_of(km_buf_cstr(&file), "PRETTY_NAME", text);
	put_text(j, "distribution", text);
	km_json_end(j, '}');
	km_buf_fini(&file);
}

void experiment_provenance(const struct experiment_origin *o, struct km_buf *out)
{
	struct km_json j = km_json_to(out);
	char start[KM_TIME_TEXT_MAX];

	km_json_begin(&j, '{');
	km_json_put_string(&j, "name", o->plan->name);
	km_json_key(&j, "planHash");
	km_json_hash(&j, km_plan_hash(o->plan));
	km_json_put_string(&j, "mode", km_plan_mode_name(o->plan->mode));
	put_text(&j, "kubemarlaLab", o->version);
	put_machine(&j, o);
	put_text(&j, "target", o->facts->target);
	put_text(&j, "generator", o->facts->generator);
	km_json_put_bool(&j, "generatorRealtime", o->facts->realtime);
	put_text(&j, "groups", o->facts->groups);
	km_json_put_string(&j, "tier", km_tier_name(o->tier));
	km_json_put_number(&j, "intervalSeconds", (double)o->plan->collect.interval_ns / 1e9);
	put_text(&j, "startTime", km_time_seconds(o->start_unix_ns, start));
	km_json_end(&j, '}');
	km_buf_char(out, '\n');
}

/* Are they the same but for their time? */
static bool same_story(struct km_buf *a, struct km_buf *b)
{
	const char *a_end = strstr(km_buf_cstr(a), START_KEY);
	const char *b_end = strstr(km_buf_cstr(b), START_KEY);

	return a_end != NULL && b_end != NULL && a_end - a->data == b_end - b->data &&
	       memcmp(a->data, b->data, (size_t)(a_end - a->data)) == 0;
}

int experiment_keep_provenance(const char *dir, const struct experiment_origin *o,
                               struct km_err *err)
{
	struct km_buf now;
	struct km_buf old;
	int rc = -EEXIST;

	km_buf_init(&now);
	km_buf_init(&old);
	experiment_provenance(o, &now);
	for (int n = 1; n <= STORIES_MAX && rc == -EEXIST; n++) {
		char name[40] = "provenance.json";
		char path[PATH_MAX];

		if (n > 1)
			(void)snprintf(name, sizeof(name), "provenance.%d.json", n);
		km_buf_clear(&old);
		if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
			rc = km_err_set(err, ENAMETOOLONG, "%.80s...: path too long", dir);
		else if (km_file_read(path, FILE_MAX_BYTES, &old, NULL) != 0)
			rc = km_buf_ok(&now) ? km_file_write_atomic(path, now.data, now.len, err)
			                     : km_err_set(err, ENOMEM, "out of memory");
		else if (same_story(&old, &now))
			rc = 0;
	}
	if (rc == -EEXIST)
		rc = km_err_set(err, EEXIST, "%.80s: %d provenances", dir, STORIES_MAX);
	km_buf_fini(&now);
	km_buf_fini(&old);
	return rc;
}
