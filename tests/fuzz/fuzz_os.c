/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procfs and control group files, any bytes: the first byte picks the parser of /proc/stat, a
 * pressure file, cpu.stat, or a CPU list; the rest is the file. The text is copied to where it ends
 * with the heap block, so that a read past its end is found.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/cpuset.h"

#include "sources/os_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int right)
{
	if (!right) {
		abort();
	}
}

static void fuzz_stat(const char *text, size_t len)
{
	static struct km_procstat stat;
	uint32_t online = 0;

	if (km_procstat_parse(text, len, &stat, NULL) != 0) {
		return;
	}
	check(stat.cpu_count > 0 && stat.cpu_count <= KM_CPU_MAX);
	for (uint32_t cpu = 0; cpu < KM_CPU_MAX; cpu++) {
		check(!stat.cpu[cpu].online || cpu < stat.cpu_count);
		online += stat.cpu[cpu].online;
	}
	check(online > 0 && stat.cpu[stat.cpu_count - 1].online);
}

static void fuzz_cpuset(const char *text)
{
	struct km_cpuset set;

	if (km_cpuset_parse(text, &set, NULL) == 0) {
		check(km_cpuset_count(&set) <= KM_CPU_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	uint64_t value;
	size_t len;
	int ret;

	if (size == 0) {
		return 0;
	}
	len = size - 1;
	text = malloc(len + 1);
	if (text == NULL) {
		return 0;
	}
	memcpy(text, data + 1, len);
	text[len] = '\0';
	if (data[0] == 'l') {
		fuzz_cpuset(text); /* the one that wants a NUL */
	} else {
		char *exact = realloc(text, len > 0 ? len : 1); /* the others must not need it */

		text = exact != NULL ? exact : text;
		switch (data[0]) {
		case 's':
			fuzz_stat(text, len);
			break;
		case 'p':
			ret = km_pressure_parse(text, len, &value, NULL);
			check(ret == 0 || ret == -EBADMSG);
			break;
		default:
			ret = km_throttled_parse(text, len, &value, NULL);
			check(ret == 0 || ret == -EBADMSG || ret == -ENODATA);
			break;
		}
	}
	free(text);
	return 0;
}
