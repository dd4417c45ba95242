/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line to stderr per event: `level room message key=value ...`. Each line is one write(2), so
 * lines of several threads never mix. errno survives a call. Only rooms on floor 4 and above log.
 */
#ifndef KM_BASE_LOG_H
#define KM_BASE_LOG_H

#include "km/base/macros.h"

enum km_log_level { KM_LOG_ERROR, KM_LOG_WARN, KM_LOG_INFO, KM_LOG_DEBUG };

/* Lines above this level are dropped; default KM_LOG_INFO. Any thread. */
void km_log_set_level(enum km_log_level level);

/* Lines go to this descriptor instead of stderr: for a program whose stderr a library writes to. */
void km_log_set_fd(int fd);

/* Parses "error", "warn", "info", "debug". returns 0 or -EINVAL. */
int km_log_level_parse(const char *text, enum km_log_level *out) KM_MUST_CHECK;

/* Control bytes in the text become '?': a hostile name cannot forge a line. Any thread. */
void km_log_error(const char *room, const char *fmt, ...) KM_PRINTF(2, 3);
void km_log_warn(const char *room, const char *fmt, ...) KM_PRINTF(2, 3);
void km_log_info(const char *room, const char *fmt, ...) KM_PRINTF(2, 3);
void km_log_debug(const char *room, const char *fmt, ...) KM_PRINTF(2, 3);

#endif
