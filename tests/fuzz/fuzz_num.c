/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and CPU lists: what km_num_double accepts must be strtod's value, and a CPU list must
 * survive being printed and read again.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/buf.h"
#include "km/base/cpuset.h"
#include "km/base/num.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512];
	double number = 0;
	int64_t integer = 0;
	struct km_cpuset set;
	struct km_cpuset again;
	struct km_buf out;

	if (size >= sizeof(text))
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (km_num_double((const char *)data, size, &number) == 0) {
		double want = strtod(text, NULL);

		if (isnan(number) ? !isnan(want) : number != want)
			abort();
	}
	if (km_num_int((const char *)data, size, &integer) == 0 &&
	    integer != strtoll(text, NULL, 10))
		abort();
	if (km_cpuset_parse(text, &set, NULL) == 0) {
		km_buf_init(&out);
		km_cpuset_format(&set, &out);
		if (km_cpuset_parse(km_buf_cstr(&out), &again, NULL) != 0 ||
		    memcmp(&set, &again, sizeof(set)) != 0)
			abort();
		km_buf_fini(&out);
	}
	return 0;
}
