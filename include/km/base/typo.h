/* SPDX-License-Identifier: Apache-2.0 */
/* How far a word is from the one that was meant, for "did you mean ...?". */
#ifndef KM_BASE_TYPO_H
#define KM_BASE_TYPO_H

#include <stddef.h>

#define KM_TYPO_MAX_BYTES 128 /* longer words are nobody's typo */

/*
 * Letters to add, drop or change to get from a to b (Levenshtein's distance).
 * returns SIZE_MAX when one is longer than KM_TYPO_MAX_BYTES.
 */
size_t km_typos(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
