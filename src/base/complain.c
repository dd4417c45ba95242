/* SPDX-License-Identifier: Apache-2.0 */
/* Rate-limited complaints: the thread that wins the exchange of next_ns is the one that speaks. */
#include "km/base/complain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "km/base/clock.h"
#include "km/base/log.h"

#define FIRST_INTERVAL_NS (10 * KM_NS_PER_S)
#define LAST_INTERVAL_NS  (3600 * KM_NS_PER_S)
#define TEXT_BYTES        768

void km_complain(struct km_complain *c, int64_t now_ns, const char *room, const char *fmt, ...)
{
	uint64_t count = atomic_fetch_add(&c->count, 1) + 1;
	int64_t due_ns = atomic_load(&c->next_ns);
	int64_t interval_ns = atomic_load(&c->interval_ns);
	char text[TEXT_BYTES];
	va_list ap;

	if (due_ns != 0 && now_ns < due_ns)
		return;
	if (interval_ns == 0)
		interval_ns = FIRST_INTERVAL_NS;
	if (!atomic_compare_exchange_strong(&c->next_ns, &due_ns, now_ns + interval_ns))
		return;
	interval_ns = interval_ns < LAST_INTERVAL_NS / 2 ? interval_ns * 2 : LAST_INTERVAL_NS;
	atomic_store(&c->interval_ns, interval_ns);

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	km_log_warn(room, "%s count=%" PRIu64, text, count);
}

void km_recovered(struct km_complain *c, const char *room, const char *fmt, ...)
{
	uint64_t count;
	char text[TEXT_BYTES];
	va_list ap;

	/* The common case, nothing to recover from, must not write to a shared cache line. */
	if (atomic_load(&c->count) == 0)
		return;
	count = atomic_exchange(&c->count, 0);
	if (count == 0)
		return;
	atomic_store(&c->next_ns, 0);
	atomic_store(&c->interval_ns, 0);

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	km_log_info(room, "recovered: %s count=%" PRIu64, text, count);
}
