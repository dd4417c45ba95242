/* SPDX-License-Identifier: Apache-2.0 */
/* Registration: validates names, finds or makes the family and the series, under the one mutex. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_internal.h"

static const char *const type_names[] = {
	[KM_METRIC_COUNTER] = "counter",
	[KM_METRIC_GAUGE] = "gauge",
	[KM_METRIC_HISTOGRAM] = "histogram",
};

/* What a caller asked for; labels are rendered already. */
struct request {
	enum km_metric_type type;
	const char *name;
	const char *help;
	const double *bounds;
	size_t bound_count;
	const struct km_clock *since;
	struct km_buf labels;
};

int km_metrics_create(struct km_metrics **out, struct km_err *err)
{
	struct km_metrics *m = aligned_alloc(METRIC_ALIGN, sizeof(*m));

	if (!m)
		return km_err_set(err, ENOMEM, "metrics: out of memory");
	memset(m, 0, sizeof(*m));
	m->spare_histogram = km_metric_alloc(KM_METRIC_HISTOGRAM, NULL, 0);
	if (!m->spare_histogram) {
		free(m);
		return km_err_set(err, ENOMEM, "metrics: out of memory");
	}
	(void)pthread_mutex_init(&m->lock, NULL); /* cannot fail with default attributes */
	*out = m;
	return 0;
}

static void series_free(struct series *s)
{
	if (!s)
		return;
	free(s->labels);
	free(s->metric);
	free(s);
}

static void family_free(struct family *f)
{
	struct series *next;

	if (!f)
		return;
	for (struct series *s = atomic_load(&f->series); s; s = next) {
		next = atomic_load(&s->next);
		series_free(s);
	}
	free(f->name);
	free(f->help);
	free(f);
}

void km_metrics_free(struct km_metrics *m)
{
	struct family *next_family;
	struct collector *next_collector;

	if (!m)
		return;
	for (struct family *f = atomic_load(&m->families); f; f = next_family) {
		next_family = atomic_load(&f->next);
		family_free(f);
	}
	for (struct collector *c = atomic_load(&m->collectors); c; c = next_collector) {
		next_collector = atomic_load(&c->next);
		free(c);
	}
	(void)pthread_mutex_destroy(&m->lock);
	free(m->spare_histogram);
	free(m);
}

int km_metrics_check(struct km_metrics *m, struct km_err *err)
{
	struct km_err first;

	(void)pthread_mutex_lock(&m->lock);
	first = m->first_error;
	(void)pthread_mutex_unlock(&m->lock);
	if (first.code == 0)
		return 0;
	return km_err_set(err, first.code, "%s", first.text);
}

/* [a-zA-Z_][a-zA-Z0-9_]*, as Prometheus wants names; colons are for its recording rules. */
static bool is_name(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
	size_t head = strspn(name, first);
	size_t len = strlen(name);

	return head > 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") ==
	               len;
}

static int check_name(const struct request *r, struct km_err *err)
{
	size_t len = strlen(r->name);
	bool total = len > 6 && strcmp(r->name + len - 6, "_total") == 0;

	if (!is_name(r->name))
		return km_err_set(err, EINVAL, "metric \"%s\": want letters, digits and _",
		                  r->name);
	if (total != (r->type == KM_METRIC_COUNTER))
		return km_err_set(err, EINVAL, "metric \"%s\": %s", r->name,
		                  total ? "only a counter ends in _total"
		                        : "a counter ends in _total");
	return 0;
}

static int check_bounds(const struct request *r, struct km_err *err)
{
	for (size_t i = 0; i < r->bound_count; i++) {
		if (!isfinite(r->bounds[i]) || (i > 0 && r->bounds[i] <= r->bounds[i - 1]))
			return km_err_set(err, EINVAL, "metric \"%s\": bounds must rise, at %zu",
			                  r->name, i);
	}
	return 0;
}

static int render_labels(struct request *r, va_list ap, struct km_err *err)
{
	for (int pairs = 0;; pairs++) {
		const char *name = va_arg(ap, const char *);
		const char *value = name ? va_arg(ap, const char *) : NULL;

		if (!name)
			break;
		if (!value || pairs == KM_METRICS_LABELS_MAX)
			return km_err_set(err, EINVAL, "metric \"%s\": label \"%s\": want %s",
			                  r->name, name, value ? "fewer labels" : "a value");
		if (!is_name(name) || strncmp(name, "__", 2) == 0 || strcmp(name, "le") == 0)
			return km_err_set(err, EINVAL, "metric \"%s\": bad label name \"%s\"",
			                  r->name, name);
		if (pairs > 0)
			km_buf_char(&r->labels, ',');
		km_metrics_write_label(&r->labels, name, value);
	}
	return 0;
}

/* The family of that name, made when new. NULL and err: a clash, or out of memory. */
static struct family *family_get(struct km_metrics *m, const struct request *r, struct km_err *err)
{
	struct family *_Atomic *link = &m->families;
	struct family *f;

	for (; (f = atomic_load(link)) != NULL; link = &f->next) {
		if (strcmp(f->name, r->name) != 0)
			continue;
		if (f->type == r->type && f->bounds == r->bounds && f->since == r->since)
			return f;
		(void)km_err_set(err, EEXIST, "metric \"%s\": is a %s with other bounds or type",
		                 r->name, type_names[f->type]);
		return NULL;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		goto fail;
	f->type = r->type;
	f->bounds = r->bounds;
	f->bound_count = r->bound_count;
	f->since = r->since;
	f->name = strdup(r->name);
	f->help = strdup(r->help);
	if (!f->name || !f->help)
		goto fail;
	atomic_store_explicit(link, f, memory_order_release);
	return f;
fail:
	family_free(f);
	(void)km_err_set(err, ENOMEM, "metric \"%s\": out of memory", r->name);
	return NULL;
}

static struct series *series_get(struct family *f, struct request *r, struct km_err *err)
{
	struct series *_Atomic *link = &f->series;
	const char *labels = km_buf_cstr(&r->labels);
	struct series *s;

	for (; (s = atomic_load(link)) != NULL; link = &s->next) {
		if (strcmp(s->labels, labels) == 0)
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		goto fail;
	s->metric = km_metric_alloc(f->type, f->bounds, f->bound_count);
	s->labels = km_buf_take(&r->labels, NULL);
	if (!s->metric || !s->labels)
		goto fail;
	atomic_store_explicit(link, s, memory_order_release);
	return s;
fail:
	series_free(s);
	(void)km_err_set(err, ENOMEM, "metric \"%s\": out of memory", f->name);
	return NULL;
}

/* returns the metric, or NULL with the registry's first error recorded. */
static void *registered(struct km_metrics *m, struct request *r, va_list ap)
{
	struct km_err err = { .code = 0 };
	struct series *s = NULL;

	km_buf_init(&r->labels);
	if (check_name(r, &err) == 0 && check_bounds(r, &err) == 0 &&
	    render_labels(r, ap, &err) == 0) {
		struct family *f;

		(void)pthread_mutex_lock(&m->lock);
		f = family_get(m, r, &err);
		if (f)
			s = series_get(f, r, &err);
		(void)pthread_mutex_unlock(&m->lock);
	}
	km_buf_fini(&r->labels);
	if (s)
		return s->metric;
	(void)pthread_mutex_lock(&m->lock);
	if (m->first_error.code == 0)
		m->first_error = err;
	(void)pthread_mutex_unlock(&m->lock);
	return NULL;
}

struct km_counter *km_metrics_counter(struct km_metrics *m, const char *name, const char *help, ...)
{
	struct request r = { .type = KM_METRIC_COUNTER, .name = name, .help = help };
	struct km_counter *c;
	va_list ap;

	if (!m)
		return NULL;
	va_start(ap, help);
	c = registered(m, &r, ap);
	va_end(ap);
	return c ? c : &m->spare_counter;
}

struct km_gauge *km_metrics_gauge(struct km_metrics *m, const char *name, const char *help, ...)
{
	struct request r = { .type = KM_METRIC_GAUGE, .name = name, .help = help };
	struct km_gauge *g;
	va_list ap;

	if (!m)
		return NULL;
	va_start(ap, help);
	g = registered(m, &r, ap);
	va_end(ap);
	return g ? g : &m->spare_gauge;
}

struct km_gauge *km_metrics_age(struct km_metrics *m, const struct km_clock *clock,
                                const char *name, const char *help, ...)
{
	struct request r = { .type = KM_METRIC_GAUGE, .name = name, .help = help, .since = clock };
	struct km_gauge *g;
	va_list ap;

	if (!m)
		return NULL;
	va_start(ap, help);
	g = registered(m, &r, ap);
	va_end(ap);
	return g ? g : &m->spare_gauge;
}

struct km_histogram *km_metrics_histogram(struct km_metrics *m, const char *name, const char *help,
                                          const double *bounds, size_t count, ...)
{
	struct request r = {
		.type = KM_METRIC_HISTOGRAM,
		.name = name,
		.help = help,
		.bounds = bounds,
		.bound_count = count,
	};
	struct km_histogram *h;
	va_list ap;

	if (!m)
		return NULL;
	va_start(ap, count);
	h = registered(m, &r, ap);
	va_end(ap);
	return h ? h : m->spare_histogram;
}

void km_metrics_collect(struct km_metrics *m, km_collect_fn collect, void *ctx)
{
	struct collector *_Atomic *link;
	struct collector *made;
	struct collector *c;

	if (!m)
		return;
	made = calloc(1, sizeof(*made));
	(void)pthread_mutex_lock(&m->lock);
	if (made) {
		made->collect = collect;
		made->ctx = ctx;
		for (link = &m->collectors; (c = atomic_load(link)) != NULL; link = &c->next)
			;
		atomic_store_explicit(link, made, memory_order_release);
	} else if (m->first_error.code == 0) {
		(void)km_err_set(&m->first_error, ENOMEM, "collector: out of memory");
	}
	(void)pthread_mutex_unlock(&m->lock);
}
