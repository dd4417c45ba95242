/* SPDX-License-Identifier: Apache-2.0 */
/* Is a page well-formed? A strict little checker: what it accepts, any XML reader does. */
#ifndef KM_TESTS_SUPPORT_XML_H
#define KM_TESTS_SUPPORT_XML_H

#include <stddef.h>

/*
 * Tags close in order, attributes are quoted and not doubled, no '<' or bare '&' in text or values,
 * every id once, every href="#..." has its id. returns NULL, or what is wrong and where.
 * The answer lives until the next call. Not for threads.
 */
const char *xml_trouble(const char *text, size_t len);

/* How many elements of that name. */
size_t xml_count(const char *text, const char *element);

#endif
