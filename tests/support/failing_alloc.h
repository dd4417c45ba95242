/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator whose Nth allocation fails, for the program that includes this, once. Sanitizers
 * replace it themselves: then REPLACED is 0 and nothing fails.
 */
#ifndef KM_TEST_FAILING_ALLOC_H
#define KM_TEST_FAILING_ALLOC_H

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REPLACED 0
#else
#define REPLACED 1
#endif

static long allocations_left = -1; /* until one fails; negative = none fails */
static bool has_failed;

#if REPLACED
/* glibc's own, under their other names. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);

static bool fails(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left-- > 0)
		return false;
	allocations_left = 0; /* and every later one too */
	has_failed = true;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nmemb, size_t size)
{
	return fails() ? NULL : __libc_calloc(nmemb, size);
}

void *realloc(void *ptr, size_t size)
{
	return fails() ? NULL : __libc_realloc(ptr, size);
}
#endif

#endif
