/* SPDX-License-Identifier: Apache-2.0 */
/* Run records of a folder, without its lock: an experiment in progress may be looked at. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "km/base/file.h"
#include "km/experiment/run_result.h"

#define PATH_BYTES 4096

bool km_runs_there(const char *dir)
{
	char path[PATH_BYTES];
	struct stat st;

	return snprintf(path, sizeof(path), "%s/runs", dir) < (int)sizeof(path) &&
	       stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

void km_runs_fini(struct km_runs *r)
{
	free(r->run);
	free(r->gated);
	*r = (struct km_runs){ .count = 0 };
}

static int push(struct km_run_record **list, size_t *count, size_t *cap,
                const struct km_run_record *r)
{
	if (*count == *cap) {
		size_t more = *cap == 0 ? 32 : 2 * *cap;
		struct km_run_record *grown = reallocarray(*list, more, sizeof(**list));

		if (grown == NULL)
			return -ENOMEM;
		*list = grown;
		*cap = more;
	}
	(*list)[(*count)++] = *r;
	return 0;
}

static int read_one(struct km_runs *all, const char *path, bool gated, struct km_err *err)
{
	struct km_err why = { .code = 0 };
	struct km_run_record r;
	struct km_buf text;
	int rc;

	km_buf_init(&text);
	rc = km_file_read(path, KM_RUN_RECORD_MAX, &text, &why);
	if (rc == 0)
		rc = km_run_record_decode(text.data, text.len, &r, &why);
	if (rc == 0 && gated)
		rc = push(&all->gated, &all->gated_count, &all->gated_cap, &r);
	else if (rc == 0)
		rc = push(&all->run, &all->count, &all->cap, &r);
	if (rc == -ENOMEM) {
		(void)km_err_set(err, ENOMEM, "out of memory");
	} else if (rc != 0) {
		(void)km_err_prefix(&why, "%.80s", path);
		all->why = all->unreadable++ == 0 ? why : all->why;
		rc = 0;
	}
	km_buf_fini(&text);
	return rc;
}

static int is_record(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int read_directory(struct km_runs *all, const char *dir, const char *below,
                          struct km_err *err)
{
	char path[PATH_BYTES];
	struct dirent **entry = NULL;
	bool gated = strcmp(below, "gated") == 0;
	int rc = 0;
	int count;

	if (snprintf(path, sizeof(path), "%s/%s", dir, below) >= (int)sizeof(path))
		return km_err_set(err, ENAMETOOLONG, "%.100s: too long", dir);
	count = scandir(path, &entry, is_record, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : km_err_errno(err, errno, "%.100s", path);
	for (int i = 0; i < count; i++) {
		if (snprintf(path, sizeof(path), "%s/%s/%s", dir, below, entry[i]->d_name) <
		            (int)sizeof(path) &&
		    rc == 0)
			rc = read_one(all, path, gated, err);
		free(entry[i]);
	}
	free(entry);
	return rc;
}

static int by_time(const void *a, const void *b)
{
	const struct km_run_record *x = a;
	const struct km_run_record *y = b;

	if (x->start_unix_ms != y->start_unix_ms)
		return x->start_unix_ms < y->start_unix_ms ? -1 : 1;
	return strcmp(x->id, y->id);
}

int km_runs_read(const char *dir, struct km_runs *out, struct km_err *err)
{
	int rc;

	*out = (struct km_runs){ .count = 0 };
	rc = read_directory(out, dir, "runs", err);
	if (rc == 0)
		rc = read_directory(out, dir, "gated", err);
	if (rc != 0) {
		km_runs_fini(out);
		return rc;
	}
	if (out->count > 0)
		qsort(out->run, out->count, sizeof(*out->run), by_time);
	if (out->gated_count > 0)
		qsort(out->gated, out->gated_count, sizeof(*out->gated), by_time);
	return 0;
}
