/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed stretch of text, as names come out of a request: not NUL-terminated. */
#ifndef KM_CORE_NAME_H
#define KM_CORE_NAME_H

#include <stdint.h>

struct km_name {
	const char *text;
	uint32_t len;
};

#endif
