/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Prometheus text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "metrics_internal.h"

static const char *const type_names[] = {
	[KM_METRIC_COUNTER] = "counter",
	[KM_METRIC_GAUGE] = "gauge",
	[KM_METRIC_HISTOGRAM] = "histogram",
};

/* HELP texts escape backslash and newline, label values the quote as well. */
static void write_escaped(struct km_buf *out, const char *text, const char *special)
{
	for (;;) {
		size_t plain = strcspn(text, special);

		km_buf_append(out, text, plain);
		text += plain;
		if (*text == '\0')
			return;
		km_buf_char(out, '\\');
		if (*text == '\n')
			km_buf_char(out, 'n');
		else
			km_buf_char(out, *text);
		text++;
	}
}

void km_metrics_write_label(struct km_buf *out, const char *name, const char *value)
{
	km_buf_str(out, name);
	km_buf_str(out, "=\"");
	write_escaped(out, value, "\\\n\"");
	km_buf_char(out, '"');
}

static void write_header(struct km_buf *out, enum km_metric_type type, const char *name,
                         const char *help)
{
	km_buf_str(out, "# HELP ");
	km_buf_str(out, name);
	km_buf_char(out, ' ');
	write_escaped(out, help, "\\\n");
	km_buf_str(out, "\n# TYPE ");
	km_buf_str(out, name);
	km_buf_char(out, ' ');
	km_buf_str(out, type_names[type]);
	km_buf_char(out, '\n');
}

/* name + suffix and its labels, up to the blank before the value. */
static void write_series(struct km_buf *out, const char *name, const char *suffix,
                         const char *labels)
{
	km_buf_str(out, name);
	km_buf_str(out, suffix);
	if (labels[0] != '\0') {
		km_buf_char(out, '{');
		km_buf_str(out, labels);
		km_buf_char(out, '}');
	}
	km_buf_char(out, ' ');
}

static void write_count(struct km_buf *out, uint64_t count)
{
	km_buf_int(out, (long long)count);
	km_buf_char(out, '\n');
}

static void write_number(struct km_buf *out, double value)
{
	km_buf_double(out, value);
	km_buf_char(out, '\n');
}

static void write_histogram(struct km_buf *out, const char *name, const char *labels,
                            const struct km_histogram *h)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= h->bound_count; i++) {
		count += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
		km_buf_str(out, name);
		km_buf_str(out, "_bucket{");
		km_buf_str(out, labels);
		km_buf_str(out, labels[0] != '\0' ? ",le=\"" : "le=\"");
		km_buf_double(out, i < h->bound_count ? h->bounds[i] : INFINITY);
		km_buf_str(out, "\"} ");
		write_count(out, count);
	}
	write_series(out, name, "_sum", labels);
	write_number(out, km_histogram_sum(h));
	/* The buckets' own total, so that _count and the +Inf bucket agree in every exposition. */
	write_series(out, name, "_count", labels);
	write_count(out, count);
}

static double gauge_now(const struct family *f, const struct series *s)
{
	double value = km_gauge_value(s->metric);

	return f->since ? (double)km_clock_mono_ns(f->since) * 1e-9 - value : value;
}

static void write_metric(struct km_buf *out, const struct family *f, const struct series *s)
{
	switch (f->type) {
	case KM_METRIC_COUNTER:
		write_series(out, f->name, "", s->labels);
		write_count(out, km_counter_value(s->metric));
		return;
	case KM_METRIC_GAUGE:
		write_series(out, f->name, "", s->labels);
		write_number(out, gauge_now(f, s));
		return;
	case KM_METRIC_HISTOGRAM:
		write_histogram(out, f->name, s->labels, s->metric);
		return;
	}
}

static void write_family(struct km_buf *out, struct family *f)
{
	bool header_written = false;
	struct series *s = atomic_load_explicit(&f->series, memory_order_acquire);

	for (; s; s = atomic_load_explicit(&s->next, memory_order_acquire)) {
		if (f->type == KM_METRIC_GAUGE && isnan(km_gauge_value(s->metric)))
			continue;
		if (!header_written)
			write_header(out, f->type, f->name, f->help);
		header_written = true;
		write_metric(out, f, s);
	}
}

void km_metrics_family(struct km_metrics_writer *w, enum km_metric_type type, const char *name,
                       const char *help)
{
	w->type = type;
	w->name = name;
	w->help = help;
	w->header_written = false;
}

void km_metrics_sample(struct km_metrics_writer *w, double value, ...)
{
	const char *name;
	char before = '{';
	va_list ap;

	if (isnan(value) || !w->name)
		return;
	if (!w->header_written)
		write_header(w->out, w->type, w->name, w->help);
	w->header_written = true;
	km_buf_str(w->out, w->name);
	va_start(ap, value);
	while ((name = va_arg(ap, const char *)) != NULL) {
		km_buf_char(w->out, before);
		km_metrics_write_label(w->out, name, va_arg(ap, const char *));
		before = ',';
	}
	va_end(ap);
	km_buf_str(w->out, before == ',' ? "} " : " ");
	write_number(w->out, value);
}

int km_metrics_expose(struct km_metrics *m, struct km_buf *out)
{
	struct km_metrics_writer w = { .out = out };
	struct family *f = atomic_load_explicit(&m->families, memory_order_acquire);
	struct collector *c = atomic_load_explicit(&m->collectors, memory_order_acquire);

	for (; f; f = atomic_load_explicit(&f->next, memory_order_acquire))
		write_family(out, f);
	for (; c; c = atomic_load_explicit(&c->next, memory_order_acquire))
		c->collect(&w, c->ctx);
	return km_buf_ok(out) ? 0 : -ENOMEM;
}
