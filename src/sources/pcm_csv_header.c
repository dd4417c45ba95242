/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCM's header: a domain and a metric for each column, in two lines (as `pcm -csv` prints it) or
 * joined by " - " in one (as scripts like to store it). Columns we do not read are skipped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/cpuset.h"

#include "sources_internal.h"

enum domain { DOMAIN_OTHER, DOMAIN_SYSTEM, DOMAIN_SOCKET, DOMAIN_CORE };

static const struct {
	enum domain domain;
	const char *metric;
	enum km_pcm_field field;
} fields[] = {
	{ DOMAIN_SYSTEM, "Date", KM_PCM_DATE },
	{ DOMAIN_SYSTEM, "Time", KM_PCM_TIME },
	{ DOMAIN_SYSTEM, "READ", KM_PCM_READ },
	{ DOMAIN_SYSTEM, "WRITE", KM_PCM_WRITE },
	{ DOMAIN_SOCKET, "READ", KM_PCM_SOCKET_READ },
	{ DOMAIN_SOCKET, "WRITE", KM_PCM_SOCKET_WRITE },
	{ DOMAIN_SOCKET, "L3OCC", KM_PCM_SOCKET_L3OCC },
	{ DOMAIN_CORE, "IPC", KM_PCM_IPC },
	{ DOMAIN_CORE, "L3MISS", KM_PCM_L3MISS },
	{ DOMAIN_CORE, "L2MISS", KM_PCM_L2MISS },
	{ DOMAIN_CORE, "C0res%", KM_PCM_C0 },
	{ DOMAIN_CORE, "C1res%", KM_PCM_C1 },
	{ DOMAIN_CORE, "C6res%", KM_PCM_C6 },
	{ DOMAIN_CORE, "INST", KM_PCM_INST },
	{ DOMAIN_CORE, "ACYC", KM_PCM_ACYC },
};

static bool is(struct km_pcm_text t, const char *word)
{
	return strlen(word) == t.len && memcmp(word, t.at, t.len) == 0;
}

/* Skips `word`, then reads a number. returns what follows it, or NULL. */
static const char *word_number(struct km_pcm_text t, const char *word, uint32_t *number)
{
	size_t len = strlen(word);
	const char *end = t.at + t.len;
	const char *p = t.at + len;
	uint32_t n = 0;

	if (t.len <= len || memcmp(t.at, word, len) != 0) {
		return NULL;
	}
	while (p < end && *p == ' ') {
		p++;
	}
	if (p == end || *p < '0' || *p > '9') {
		return NULL;
	}
	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		n = n > KM_CPU_MAX ? n : n * 10 + (uint32_t)(*p - '0');
	}
	*number = n;
	return p;
}

/* "System", "Socket 0" or "SKT0", "Core12 (Socket 0)"; not "SKT0 Core C-State" or "SKT0.1". */
static enum domain parse_domain(struct km_pcm_text t, uint32_t *cpu)
{
	const char *end = t.at + t.len;
	const char *rest;
	uint32_t socket;

	if (is(t, "System")) {
		return DOMAIN_SYSTEM;
	}
	rest = word_number(t, "Core", cpu);
	if (rest != NULL && (rest == end || *rest == ' ' || *rest == '(')) {
		return DOMAIN_CORE;
	}
	rest = word_number(t, "SKT", &socket);
	if (rest == NULL) {
		rest = word_number(t, "Socket", &socket);
	}
	return rest != NULL && rest == end ? DOMAIN_SOCKET : DOMAIN_OTHER;
}

static enum km_pcm_field find_field(enum domain domain, struct km_pcm_text metric)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(fields); i++) {
		if (fields[i].domain == domain && is(metric, fields[i].metric)) {
			return fields[i].field;
		}
	}
	/* "C3res%", "C7res%": read only to see whether a row accounts for its whole interval */
	if (domain == DOMAIN_CORE && metric.len >= 6 && metric.at[0] == 'C' &&
	    memcmp(metric.at + metric.len - 4, "res%", 4) == 0) {
		return KM_PCM_C_OTHER;
	}
	return KM_PCM_SKIP;
}

static char separator_of(const char *line, size_t len)
{
	return memchr(line, ',', len) == NULL && memchr(line, ';', len) != NULL ? ';' : ',';
}

/* Splits "Core0 (Socket 0) - IPC" at its last " - ". returns false when there is none. */
static bool split_merged(struct km_pcm_text t, struct km_pcm_text *domain,
                         struct km_pcm_text *metric)
{
	for (size_t i = t.len; i >= 3; i--) {
		if (memcmp(t.at + i - 3, " - ", 3) == 0) {
			*domain = (struct km_pcm_text){ t.at, i - 3 };
			*metric = (struct km_pcm_text){ t.at + i, t.len - i };
			return true;
		}
	}
	return false;
}

enum km_pcm_line km_pcm_header_line(const char *line, size_t len)
{
	const char *at = line;
	struct km_pcm_text first;
	struct km_pcm_text domain;
	struct km_pcm_text metric;

	(void)km_pcm_next_field(&at, line + len, separator_of(line, len), &first);
	if (split_merged(first, &domain, &metric) && is(domain, "System")) {
		return KM_PCM_LINE_MERGED;
	}
	return at != NULL && is(first, "System") ? KM_PCM_LINE_DOMAINS : KM_PCM_LINE_OTHER;
}

static int add_column(struct km_pcm_header *h, struct km_pcm_text domain, struct km_pcm_text metric,
                      struct km_err *err)
{
	struct km_pcm_column *c = &h->column[h->column_count++];
	uint32_t cpu = 0;
	enum domain d = parse_domain(domain, &cpu);

	c->field = (uint8_t)find_field(d, metric);
	c->cpu = 0;
	if (c->field == KM_PCM_SKIP) {
		return 0;
	}
	h->has[c->field] = true;
	if (d != DOMAIN_CORE) {
		return 0;
	}
	if (cpu >= KM_CPU_MAX) {
		return km_err_set(err, E2BIG, "PCM header: core number over %d in \"%.*s\"",
		                  KM_CPU_MAX - 1, (int)(domain.len < 40 ? domain.len : 40),
		                  domain.at);
	}
	c->cpu = (uint16_t)cpu;
	if (cpu >= h->cpu_count) {
		h->cpu_count = cpu + 1;
	}
	return 0;
}

static int add_merged(struct km_pcm_header *h, const char *line, size_t len, struct km_err *err)
{
	const char *at = line;
	struct km_pcm_text field;
	int ret = 0;

	while (ret == 0 && km_pcm_next_field(&at, line + len, h->separator, &field)) {
		struct km_pcm_text domain = { "", 0 };
		struct km_pcm_text metric = field;

		if (field.len == 0 && at == NULL) {
			break; /* a separator ends the line */
		}
		(void)split_merged(field, &domain, &metric); /* without one: a column to skip */
		ret = add_column(h, domain, metric, err);
	}
	return ret;
}

/*
 * Versions differ: some repeat the domain for each column, some leave it empty after the first.
 * Where they repeat it, both lines must name as many columns, or cores would be mixed up.
 */
static int add_two_lines(struct km_pcm_header *h, const struct km_buf *domains, const char *line,
                         size_t len, struct km_err *err)
{
	const char *domain_at = domains->data;
	const char *domain_end = domains->data + domains->len;
	const char *at = line;
	struct km_pcm_text domain = { "", 0 };
	struct km_pcm_text next;
	struct km_pcm_text metric;
	bool carried = false;

	while (km_pcm_next_field(&at, line + len, h->separator, &metric)) {
		int ret;

		if (metric.len == 0 && at == NULL) {
			break;
		}
		if (!km_pcm_next_field(&domain_at, domain_end, h->separator, &next) ||
		    (next.len == 0 && domain_at == NULL)) {
			if (!carried) {
				return km_err_set(err, EBADMSG,
				                  "PCM header: %u domains in its first line, more "
				                  "metrics in its second",
				                  h->column_count);
			}
		} else if (next.len == 0) {
			carried = true;
		} else {
			domain = next;
		}
		ret = add_column(h, domain, metric, err);
		if (ret != 0) {
			return ret;
		}
	}
	if (km_pcm_next_field(&domain_at, domain_end, h->separator, &next) && next.len > 0) {
		return km_err_set(err, EBADMSG,
		                  "PCM header: %u metrics in its second line, more domains in its "
		                  "first",
		                  h->column_count);
	}
	return 0;
}

static int check(const struct km_pcm_header *h, struct km_err *err)
{
	bool counters = h->cpu_count > 0 || h->has[KM_PCM_READ] || h->has[KM_PCM_SOCKET_READ];

	if (!h->has[KM_PCM_DATE] || !h->has[KM_PCM_TIME]) {
		return km_err_set(err, EBADMSG, "PCM header: no System Date and Time columns");
	}
	if (!counters) {
		return km_err_set(err, EBADMSG,
		                  "PCM header: none of the columns read (Core IPC, L3MISS, L2MISS, "
		                  "C0res%%, System READ, ...)");
	}
	return 0;
}

int km_pcm_header_parse(struct km_pcm_header *h, const struct km_buf *domains, const char *line,
                        size_t len, struct km_err *err)
{
	struct km_pcm_column *column;
	size_t count = 1;
	int ret;

	h->separator = separator_of(line, len);
	for (size_t i = 0; i < len; i++) {
		count += line[i] == h->separator;
	}
	if (count > KM_PCM_COLUMNS_MAX) {
		return km_err_set(err, E2BIG, "PCM header: %zu columns, at most %d", count,
		                  KM_PCM_COLUMNS_MAX);
	}
	column = reallocarray(h->column, count, sizeof(*column));
	if (column == NULL) {
		return km_err_set(err, ENOMEM, "PCM header: out of memory");
	}
	h->column = column;
	h->column_count = 0;
	h->cpu_count = 0;
	memset(h->has, 0, sizeof(h->has));
	ret = domains == NULL ? add_merged(h, line, len, err)
	                      : add_two_lines(h, domains, line, len, err);
	return ret == 0 ? check(h, err) : ret;
}

void km_pcm_header_fini(struct km_pcm_header *h)
{
	free(h->column);
	memset(h, 0, sizeof(*h));
}
