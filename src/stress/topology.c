/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs to cache sizes. Reads cpu/online and cpu/cpuN/cache/index*; all of it may be absent. */
#include "km/stress/topology.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "km/base/file.h"
#include "km/base/num.h"

#define FILE_MAX       8192              /* a list of CPUs is the longest */
#define INDEX_MAX      8                 /* caches of a CPU; today's have four */
#define SIZE_MAX_BYTES ((size_t)4 << 30) /* larger is no cache */

/* One line of a file below the directory, without its newline. returns 0 or a negative errno. */
static int read_word(const char *dir, const char *name, struct km_buf *out)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	int rc;

	km_buf_clear(out);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	rc = km_file_read(path, FILE_MAX, out, NULL);
	if (rc == 0 && out->len > 0 && out->data[out->len - 1] == '\n')
		out->len--;
	return rc;
}

/* "1024K" (what the kernel writes), "36M" or "65536". returns 0 or -EINVAL. */
static int parse_size(const char *text, size_t len, size_t *out)
{
	size_t unit = 1;
	int64_t value;

	if (len > 0 && (text[len - 1] == 'K' || text[len - 1] == 'M')) {
		unit = text[len - 1] == 'K' ? 1024 : (size_t)1024 * 1024;
		len--;
	}
	if (km_num_int(text, len, &value) != 0 || value <= 0 ||
	    (size_t)value > SIZE_MAX_BYTES / unit)
		return -EINVAL;
	*out = (size_t)value * unit;
	return 0;
}

/* One index directory. What is no data cache of level 2 or 3 is passed over. */
static void read_index(const char *dir, unsigned cpu, struct km_caches *c, struct km_buf *word)
{
	struct km_cache *cache;
	struct km_cpuset sharers;
	size_t bytes;

	if (read_word(dir, "level", word) != 0 || word->len != 1)
		return;
	cache = word->data[0] == '2' ? &c->l2 : word->data[0] == '3' ? &c->l3 : NULL;
	if (cache == NULL || read_word(dir, "type", word) != 0 ||
	    strcmp(km_buf_cstr(word), "Instruction") == 0 || read_word(dir, "size", word) != 0 ||
	    parse_size(word->data, word->len, &bytes) != 0)
		return;
	cache->bytes = bytes;
	cache->assumed = false;
	if (read_word(dir, "shared_cpu_list", word) == 0 &&
	    km_cpuset_parse(km_buf_cstr(word), &sharers, NULL) == 0 && km_cpuset_has(&sharers, cpu))
		cache->sharers = sharers;
}

/* A CPU that is not there is nobody's to stress. A machine that does not say is believed. */
static int check_online(const char *sysfs, const struct km_cpuset *cpus, struct km_buf *word,
                        struct km_err *err)
{
	struct km_cpuset online;
	char dir[PATH_MAX];

	(void)snprintf(dir, sizeof(dir), "%s/devices/system/cpu", sysfs);
	if (read_word(dir, "online", word) != 0 ||
	    km_cpuset_parse(km_buf_cstr(word), &online, NULL) != 0)
		return 0;
	km_cpuset_each (cpu, cpus) {
		if (!km_cpuset_has(&online, cpu))
			return km_err_set(err, ERANGE, "CPU %u is not online, want CPUs of %.64s",
			                  cpu, km_buf_cstr(word));
	}
	return 0;
}

int km_caches_read(const char *sysfs, const struct km_cpuset *cpus, struct km_caches *out,
                   struct km_err *err)
{
	unsigned first = km_cpuset_next(cpus, 0);
	struct km_buf word;
	int rc;

	memset(out, 0, sizeof(*out));
	if (first >= KM_CPU_MAX)
		return km_err_set(err, EINVAL, "no CPU to stress, want at least one");
	out->l2 = (struct km_cache){ .bytes = KM_CACHES_L2_BYTES, .assumed = true };
	km_cpuset_add(&out->l2.sharers, first);
	out->l3 =
		(struct km_cache){ .bytes = KM_CACHES_L3_BYTES, .sharers = *cpus, .assumed = true };
	km_buf_init(&word);
	rc = check_online(sysfs, cpus, &word, err);
	for (int i = 0; rc == 0 && i < INDEX_MAX; i++) {
		char dir[PATH_MAX];

		(void)snprintf(dir, sizeof(dir), "%s/devices/system/cpu/cpu%u/cache/index%d", sysfs,
		               first, i);
		read_index(dir, first, out, &word);
	}
	if (rc == 0 && !km_buf_ok(&word))
		rc = km_err_set(err, ENOMEM, "out of memory reading caches");
	km_buf_fini(&word);
	return rc;
}

void km_caches_assumed(const struct km_caches *c, const char *sysfs, struct km_buf *out)
{
	if (!c->l2.assumed && !c->l3.assumed)
		return;
	if (c->l2.assumed)
		km_buf_printf(out, "L2 of %zu MiB", c->l2.bytes >> 20);
	if (c->l3.assumed)
		km_buf_printf(out, "%sL3 of %zu MiB", c->l2.assumed ? " and " : "",
		              c->l3.bytes >> 20);
	km_buf_printf(out, " assumed: %s has no such cache", sysfs);
}
