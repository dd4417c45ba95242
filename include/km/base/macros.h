/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and the two or three macros every room uses. */
#ifndef KM_BASE_MACROS_H
#define KM_BASE_MACROS_H

#define KM_MUST_CHECK        __attribute__((warn_unused_result))
#define KM_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define KM_NONNULL           __attribute__((nonnull))
#define KM_ARRAY_LEN(a)      (sizeof(a) / sizeof((a)[0]))

#endif
