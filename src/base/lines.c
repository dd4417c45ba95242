/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line by line over a plain or gzip file, growing ones included. The buffer holds
 *
 *     | returned already | unfinished line, searched | not searched yet | room + 1 for NUL |
 *     0                start                       scan               end                cap
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/file.h"

#include "gz.h"

#define LINES_STEP_BYTES 16384

struct km_lines {
	gzFile gz;
	char *path;
	char *data;
	size_t start;
	size_t scan;
	size_t end;
	size_t cap;
	size_t max_line_bytes;
	size_t finished; /* lines whose newline was seen */
	size_t number;
	bool skipping;  /* inside a line that was over the limit */
	bool part_said; /* the unfinished line was shown and has not grown since */
};

int km_lines_open(const char *path, size_t max_line_bytes, struct km_lines **out,
                  struct km_err *err)
{
	struct km_lines *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return km_err_set(err, ENOMEM, "%s: out of memory", path);
	l->max_line_bytes = max_line_bytes;
	l->path = strdup(path);
	if (!l->path) {
		rc = km_err_set(err, ENOMEM, "%s: out of memory", path);
		goto fail;
	}
	rc = km_gz_open(path, &l->gz, err);
	if (rc != 0)
		goto fail;
	*out = l;
	return 0;
fail:
	km_lines_close(l);
	return rc;
}

/* Moves the unfinished line to the front and reads more behind it. returns as km_gz_read. */
static ssize_t fill(struct km_lines *l, struct km_err *err)
{
	ssize_t n;

	if (l->start > 0) {
		memmove(l->data, l->data + l->start, l->end - l->start);
		l->end -= l->start;
		l->scan -= l->start;
		l->start = 0;
	}
	if (l->cap - l->end < LINES_STEP_BYTES + 1) {
		size_t cap = l->cap * 2 + LINES_STEP_BYTES + 1;
		char *data = realloc(l->data, cap);

		if (!data)
			return km_err_set(err, ENOMEM, "%s: out of memory", l->path);
		l->data = data;
		l->cap = cap;
	}
	n = km_gz_read(l->gz, l->path, l->data + l->end, LINES_STEP_BYTES, err);
	if (n > 0) {
		l->end += (size_t)n;
		l->part_said = false;
	}
	return n;
}

static int too_long(const struct km_lines *l, struct km_err *err)
{
	return km_err_set(err, EMSGSIZE, "%s:%zu: line longer than %zu bytes", l->path, l->number,
	                  l->max_line_bytes);
}

/* The line from start to its newline at `newline`, without its end. */
static int finish_line(struct km_lines *l, char *newline, const char **line, size_t *len,
                       struct km_err *err)
{
	char *first = l->data + l->start;
	char *last = newline;

	if (last > first && last[-1] == '\r')
		last--;
	*last = '\0';
	l->start = l->scan;
	if ((size_t)(last - first) > l->max_line_bytes)
		return too_long(l, err);
	*line = first;
	*len = (size_t)(last - first);
	return KM_LINE_OK;
}

/* What the end of the file means: nothing, or a line that is not finished. */
static int unfinished_line(struct km_lines *l, const char **line, size_t *len)
{
	if (l->end == l->start || l->part_said)
		return KM_LINE_END;
	l->part_said = true;
	l->number = l->finished + 1;
	l->data[l->end] = '\0';
	*line = l->data + l->start;
	*len = l->end - l->start;
	return KM_LINE_PART;
}

int km_lines_next(struct km_lines *l, const char **line, size_t *len, struct km_err *err)
{
	for (;;) {
		char *newline = NULL;
		ssize_t n;

		if (l->end > l->scan)
			newline = memchr(l->data + l->scan, '\n', l->end - l->scan);
		if (newline) {
			l->scan = (size_t)(newline + 1 - l->data);
			l->number = ++l->finished;
			if (!l->skipping)
				return finish_line(l, newline, line, len, err);
			l->skipping = false;
			l->start = l->scan;
			continue;
		}
		l->scan = l->end;
		if (l->skipping) {
			l->start = l->end;
		} else if (l->end - l->start >
		           l->max_line_bytes + 1) { /* + 1: a CR may come last */
			l->skipping = true;
			l->number = l->finished + 1;
			return too_long(l, err);
		}
		n = fill(l, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return unfinished_line(l, line, len);
	}
}

int km_lines_rewind(struct km_lines *l, struct km_err *err)
{
	if (gzrewind(l->gz) != 0)
		return km_err_set(err, EIO, "%s: cannot read it again from the start", l->path);
	l->start = 0;
	l->scan = 0;
	l->end = 0;
	l->finished = 0;
	l->number = 0;
	l->skipping = false;
	l->part_said = false;
	return 0;
}

size_t km_lines_number(const struct km_lines *l)
{
	return l->number;
}

void km_lines_close(struct km_lines *l)
{
	if (!l)
		return;
	if (l->gz)
		(void)gzclose_r(l->gz);
	free(l->data);
	free(l->path);
	free(l);
}
