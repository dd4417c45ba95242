/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a trial: read once, then added to one by one. */
#include "km/experiment/plays.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "km/base/file.h"

#define PATH_BYTES   4096
#define RECORD_BYTES (1u << 20)

void km_plays_init(struct km_plays *p)
{
	*p = (struct km_plays){ .count = 0 };
}

void km_plays_fini(struct km_plays *p)
{
	free(p->play);
	free(p->gated);
	km_plays_init(p);
}

static int path_of(char out[PATH_BYTES], const char *dir, const char *below, const char *name,
                   struct km_err *err)
{
	if (snprintf(out, PATH_BYTES, "%s/trial%s%s%s", dir, below, name[0] != '\0' ? "/" : "",
	             name) >= PATH_BYTES)
		return km_err_set(err, ENAMETOOLONG, "%.100s: too long", dir);
	return 0;
}

bool km_plays_there(const char *dir)
{
	char path[PATH_BYTES];
	struct stat st;

	return path_of(path, dir, "", "", NULL) == 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- in memory ---- */

static int push(struct km_trial_record **list, size_t *count, size_t *cap,
                const struct km_trial_record *r)
{
	if (*count == *cap) {
		size_t more = *cap == 0 ? 16 : 2 * *cap;
		struct km_trial_record *grown = reallocarray(*list, more, sizeof(**list));

		if (grown == NULL)
			return -ENOMEM;
		*list = grown;
		*cap = more;
	}
	(*list)[(*count)++] = *r;
	return 0;
}

static int by_order(const void *a, const void *b)
{
	const struct km_trial_record *x = a;
	const struct km_trial_record *y = b;

	if (x->repeat != y->repeat)
		return x->repeat < y->repeat ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

bool km_plays_is(const struct km_trial_record *r, const struct km_play *play, const char *alone_on)
{
	const char *arm = play->episode > 0 ? km_plan_arm_name(play->arm) : KM_TRIAL_ALONE;

	return r->repeat == play->repeat && r->episode == play->episode &&
	       strcmp(r->arm, arm) == 0 &&
	       (play->episode > 0 ||
	        (r->replicas > 0 && strcmp(r->node[r->placed[0]].name, alone_on) == 0));
}

const struct km_trial_record *km_plays_find(const struct km_plays *p, const struct km_play *play,
                                            const char *alone_on)
{
	for (size_t i = 0; i < p->count; i++) {
		if (km_plays_is(&p->play[i], play, alone_on))
			return &p->play[i];
	}
	return NULL;
}

/* ---- reading ---- */

static int read_one(struct km_plays *p, const char *path, bool gated, struct km_err *err)
{
	struct km_trial_record *r = malloc(sizeof(*r));
	struct km_err why = { .code = 0 };
	struct km_buf text;
	int rc;

	if (r == NULL)
		return km_err_set(err, ENOMEM, "out of memory");
	km_buf_init(&text);
	rc = km_file_read(path, RECORD_BYTES, &text, &why);
	if (rc == 0)
		rc = km_trial_record_decode(text.data, text.len, r, &why);
	if (rc == 0 && r->discarded != gated)
		rc = km_err_set(&why, EBADMSG, "%s",
		                gated ? "counts, but lies in gated/" : "does not count");
	if (rc == 0 && gated)
		rc = push(&p->gated, &p->gated_count, &p->gated_cap, r);
	else if (rc == 0)
		rc = push(&p->play, &p->count, &p->cap, r);
	if (rc == -ENOMEM) {
		(void)km_err_set(err, ENOMEM, "out of memory");
	} else if (rc != 0) {
		/* Somebody's else, or of a disk that lost it: what is left is still worth it. */
		(void)km_err_prefix(&why, "%.80s", path);
		p->why = p->unreadable++ == 0 ? why : p->why;
		rc = 0;
	}
	km_buf_fini(&text);
	free(r);
	return rc;
}

/* "r<repeat>__..." and nothing hidden: result.json, setup.json and temporary files are not. */
static int is_record(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] == 'r' && strstr(entry->d_name, "__") != NULL && len > 5 &&
	       strcmp(entry->d_name + len - 5, ".json") == 0;
}

static int read_directory(struct km_plays *p, const char *dir, bool gated, struct km_err *err)
{
	char path[PATH_BYTES];
	struct dirent **entry = NULL;
	int count;
	int rc = path_of(path, dir, gated ? "/gated" : "", "", err);

	if (rc != 0)
		return rc;
	count = scandir(path, &entry, is_record, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : km_err_errno(err, errno, "%.100s", path);
	for (int i = 0; i < count; i++) {
		if (rc == 0)
			rc = path_of(path, dir, gated ? "/gated" : "", entry[i]->d_name, err);
		if (rc == 0)
			rc = read_one(p, path, gated, err);
		free(entry[i]);
	}
	free(entry);
	return rc;
}

int km_plays_read(const char *dir, struct km_plays *out, struct km_err *err)
{
	int rc;

	km_plays_init(out);
	rc = read_directory(out, dir, false, err);
	if (rc == 0)
		rc = read_directory(out, dir, true, err);
	if (rc != 0) {
		km_plays_fini(out);
		return rc;
	}
	if (out->count > 0)
		qsort(out->play, out->count, sizeof(*out->play), by_order);
	if (out->gated_count > 0)
		qsort(out->gated, out->gated_count, sizeof(*out->gated), by_order);
	return 0;
}

/* ---- writing ---- */

static int make_directory(const char *path, struct km_err *err)
{
	if (mkdir(path, 0777) != 0 && errno != EEXIST)
		return km_err_errno(err, errno, "%.100s", path);
	return 0;
}

int km_plays_lock(const char *dir, struct km_err *err)
{
	char path[PATH_BYTES];
	int fd;
	int rc = make_directory(dir, err);

	if (rc == 0)
		rc = path_of(path, dir, "", "", err);
	if (rc == 0)
		rc = make_directory(path, err);
	if (rc == 0)
		rc = path_of(path, dir, "", "gated", err);
	if (rc == 0)
		rc = make_directory(path, err);
	if (rc == 0)
		rc = path_of(path, dir, "", "lock", err);
	if (rc != 0)
		return rc;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return km_err_errno(err, errno, "%.100s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno;
		(void)close(fd);
		return rc == EWOULDBLOCK
		               ? km_err_set(err, EBUSY, "%.100s: another trial runs there", dir)
		               : km_err_errno(err, rc, "%.100s", path);
	}
	return fd;
}

int km_plays_put(const char *dir, const char *name, const struct km_buf *content,
                 struct km_err *err)
{
	char path[PATH_BYTES];
	int rc = path_of(path, dir, "", name, err);

	if (rc == 0 && !km_buf_ok(content))
		rc = km_err_set(err, ENOMEM, "out of memory");
	return rc == 0 ? km_file_write_atomic(path, content->data, content->len, err) : rc;
}

int km_plays_add(struct km_plays *p, const char *dir, const struct km_trial_record *r,
                 struct km_err *err)
{
	char id[KM_TRIAL_ID_MAX];
	char name[KM_TRIAL_ID_MAX + 32];
	struct km_buf text;
	int rc;

	(void)km_trial_record_id(r, id);
	if (r->discarded)
		(void)snprintf(name, sizeof(name), "gated/%s.%u.json", id, r->attempt);
	else
		(void)snprintf(name, sizeof(name), "%s.json", id);
	km_buf_init(&text);
	km_trial_record_encode(&text, r);
	rc = km_plays_put(dir, name, &text, err);
	km_buf_fini(&text);
	if (rc != 0)
		return rc;
	rc = r->discarded ? push(&p->gated, &p->gated_count, &p->gated_cap, r)
	                  : push(&p->play, &p->count, &p->cap, r);
	return rc == 0 ? 0 : km_err_set(err, ENOMEM, "out of memory");
}
