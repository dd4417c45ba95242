/* SPDX-License-Identifier: Apache-2.0 */
/* One YAML value into one field: a parser for each type of option, chosen by a table. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"

#include "config_internal.h"

struct suffix {
	const char *text;
	double factor;
};

static const struct suffix byte_suffixes[] = {
	{ "Ki", 1024.0 },
	{ "Mi", 1024.0 * 1024 },
	{ "Gi", 1024.0 * 1024 * 1024 },
};

/* Longer ones first where one begins another: "ms" before "m". */
static const struct suffix time_suffixes[] = {
	{ "ms", 1e-3 }, { "us", 1e-6 }, { "s", 1 }, { "m", 60 }, { "h", 3600 },
};

static int want_failed(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                       const struct km_tree *v)
{
	struct km_buf want;
	int rc;

	km_buf_init(&want);
	conf_want(o, &want);
	rc = km_conf_bad_value(c, key, v, km_buf_cstr(&want));
	km_buf_fini(&want);
	return rc;
}

static bool in_range(const struct km_conf_option *o, double value)
{
	return (o->min == 0 && o->max == 0) || (value >= o->min && value <= o->max);
}

/* Stores an unsigned number in a field of 1 to 8 bytes. */
static void store(const struct km_conf_option *o, uint64_t value, void *base)
{
	char *field = (char *)base + o->offset;

	/* Through the field's own width, so that it is right on big-endian machines too. */
	switch (o->size) {
	case sizeof(uint8_t):
		memcpy(field, &(uint8_t){ (uint8_t)value }, o->size);
		break;
	case sizeof(uint16_t):
		memcpy(field, &(uint16_t){ (uint16_t)value }, o->size);
		break;
	case sizeof(uint32_t):
		memcpy(field, &(uint32_t){ (uint32_t)value }, o->size);
		break;
	default:
		memcpy(field, &value, sizeof(value));
		break;
	}
}

static int parse_integer(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                         const struct km_tree *v, void *base)
{
	bool bytes = o->unit != NULL && strcmp(o->unit, "bytes") == 0;
	size_t len = v->kind == KM_TREE_SCALAR ? strlen(v->text) : 0;
	double factor = 1;
	int64_t value = 0;

	if (v->kind != KM_TREE_SCALAR || (v->quoted && !bytes))
		return want_failed(c, o, key, v);
	for (size_t i = 0; bytes && i < KM_ARRAY_LEN(byte_suffixes); i++) {
		if (len > 2 && strcmp(v->text + len - 2, byte_suffixes[i].text) == 0) {
			factor = byte_suffixes[i].factor;
			len -= 2;
			break;
		}
	}
	if (km_num_int(v->text, len, &value) != 0 || value < 0 ||
	    !in_range(o, (double)value * factor))
		return want_failed(c, o, key, v);
	store(o, (uint64_t)value * (uint64_t)factor, base);
	return 0;
}

static int parse_number(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	double value;

	if (v->kind != KM_TREE_SCALAR || v->quoted ||
	    km_num_double(v->text, strlen(v->text), &value) != 0 || !isfinite(value) ||
	    !in_range(o, value))
		return want_failed(c, o, key, v);
	memcpy((char *)base + o->offset, &value, sizeof(value));
	return 0;
}

/* "1m30s" -> 90. returns 0 or -EINVAL. */
static int duration_s(const char *text, double *out)
{
	double sum = 0;

	if (*text == '\0')
		return -EINVAL;
	while (*text != '\0') {
		size_t digits = strspn(text, "0123456789.");
		size_t i = 0;
		double value;

		if (km_num_double(text, digits, &value) != 0)
			return -EINVAL;
		text += digits;
		while (i < KM_ARRAY_LEN(time_suffixes) &&
		       strncmp(text, time_suffixes[i].text, strlen(time_suffixes[i].text)) != 0)
			i++;
		if (i == KM_ARRAY_LEN(time_suffixes))
			return -EINVAL;
		sum += value * time_suffixes[i].factor;
		text += strlen(time_suffixes[i].text);
	}
	*out = sum;
	return 0;
}

static int parse_duration(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                          const struct km_tree *v, void *base)
{
	double scale = o->type == KM_CONF_DURATION_NS ? 1e9 : 1;
	char *field = (char *)base + o->offset;
	double value;

	if (v->kind != KM_TREE_SCALAR || duration_s(v->text, &value) != 0 ||
	    !in_range(o, value * scale))
		return want_failed(c, o, key, v);
	if (o->type == KM_CONF_DURATION_NS)
		memcpy(field, &(int64_t){ llround(value * scale) }, sizeof(int64_t));
	else
		memcpy(field, &value, sizeof(value));
	return 0;
}

static int parse_string(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	char **field = (char **)(void *)((char *)base + o->offset);
	char *copy;

	/* A preset "" comes without quotes: line 0 tells it from an empty value in the file. */
	if (v->kind != KM_TREE_SCALAR || (km_conf_is_null(v) && v->line != 0) ||
	    (o->required && v->text[0] == '\0'))
		return want_failed(c, o, key, v);
	copy = strdup(v->text);
	if (copy == NULL)
		return km_conf_no_memory(c);
	free(*field);
	*field = copy;
	return 0;
}

static int parse_bool(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                      const struct km_tree *v, void *base)
{
	bool yes = v->kind == KM_TREE_SCALAR && strcmp(v->text, "true") == 0;
	bool no = v->kind == KM_TREE_SCALAR && strcmp(v->text, "false") == 0;

	if ((!yes && !no) || v->quoted)
		return want_failed(c, o, key, v);
	memcpy((char *)base + o->offset, &yes, sizeof(yes));
	return 0;
}

static int parse_choice(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	uint64_t value = 0;
	int64_t spelled = 0;

	if (v->kind != KM_TREE_SCALAR)
		return want_failed(c, o, key, v);
	while (o->choices[value] != NULL && strcmp(o->choices[value], v->text) != 0)
		value++;
	if (o->choices[value] == NULL)
		return want_failed(c, o, key, v);
	if (o->type == KM_CONF_CHOICE_INTEGER) {
		if (v->quoted || km_num_int(v->text, strlen(v->text), &spelled) != 0)
			return want_failed(c, o, key, v);
		value = (uint64_t)spelled;
	}
	store(o, value, base);
	return 0;
}

static int parse_custom(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                        const struct km_tree *v, void *base)
{
	return o->custom(c, o, key, v, base);
}

static km_conf_parse_fn *const parsers[KM_CONF_TYPE_N] = {
	[KM_CONF_INTEGER] = parse_integer,      [KM_CONF_NUMBER] = parse_number,
	[KM_CONF_DURATION_NS] = parse_duration, [KM_CONF_DURATION_S] = parse_duration,
	[KM_CONF_STRING] = parse_string,        [KM_CONF_BOOL] = parse_bool,
	[KM_CONF_CHOICE] = parse_choice,        [KM_CONF_CHOICE_INTEGER] = parse_choice,
	[KM_CONF_CUSTOM] = parse_custom,
};

int conf_parse_value(struct km_conf_ctx *c, const struct km_conf_option *o, const char *key,
                     const struct km_tree *v, void *base)
{
	return parsers[o->type](c, o, key, v, base);
}

/* The largest unit in which the value is a short number: 5e9 ns -> "5s", 0.1 s -> "100ms". */
static void duration_text(double seconds, struct km_buf *out)
{
	double value = seconds;
	const char *unit = "s";

	if (seconds >= 3600 && fmod(seconds, 3600) == 0) {
		value = seconds / 3600;
		unit = "h";
	} else if (seconds > 60 && fmod(seconds, 60) == 0) {
		value = seconds / 60;
		unit = "m";
	} else if (seconds < 1) {
		value = seconds * 1000;
		unit = "ms";
	}
	km_buf_printf(out, "%g%s", value, unit);
}

void conf_quantity(const struct km_conf_option *o, double value, struct km_buf *out)
{
	if (o->type == KM_CONF_DURATION_NS)
		duration_text(value / 1e9, out);
	else if (o->type == KM_CONF_DURATION_S)
		duration_text(value, out);
	else if (value >= 1e6)
		km_buf_printf(out, "%.0f", value);
	else
		km_buf_printf(out, "%g", value);
}

void conf_want(const struct km_conf_option *o, struct km_buf *out)
{
	static const char *const noun[KM_CONF_TYPE_N] = {
		[KM_CONF_INTEGER] = "a whole number",
		[KM_CONF_NUMBER] = "a number",
		[KM_CONF_DURATION_NS] = "a duration like 5s",
		[KM_CONF_DURATION_S] = "a duration like 60s",
		[KM_CONF_STRING] = "a text",
		[KM_CONF_BOOL] = "true or false",
		[KM_CONF_CHOICE] = "one of ",
		[KM_CONF_CHOICE_INTEGER] = "one of ",
	};

	if (o->type == KM_CONF_CUSTOM) {
		km_buf_str(out, o->want);
		return;
	}
	km_buf_str(out, noun[o->type]);
	for (size_t i = 0; o->choices != NULL && o->choices[i] != NULL; i++) {
		if (i > 0)
			km_buf_str(out, ", ");
		km_buf_str(out, o->choices[i]);
	}
	if (o->max != 0) {
		km_buf_str(out, " from ");
		conf_quantity(o, o->min, out);
		km_buf_str(out, " to ");
		conf_quantity(o, o->max, out);
	}
}
