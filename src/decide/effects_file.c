/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learned effects from their file, and back. The bytes are made under the lock of the effects, in
 * memory taken before; the disk is waited for without it.
 */
#include "km/decide/effects_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/complain.h"
#include "km/base/file.h"
#include "km/base/log.h"

#include "decide_internal.h"

#define ROOM      "decide"
#define MAX_BYTES ((size_t)256 << 20)
#define ASIDE     ".bad"
/* What the bytes may have grown by since the last time, before memory is taken under the lock. */
#define ROOM_TO_GROW ((size_t)64 << 10)

struct km_effects_file {
	char *path;
	struct km_decide *decide;
	const struct km_clock *clock;
	struct km_effects *effects;
	struct km_counter *written;
	struct km_counter *failed;
	struct km_gauge *bytes;
	struct km_complain trouble;
	struct km_buf buf;
	bool keep;            /* false: the file is somebody else's, or a riddle */
	uint64_t learned;     /* observations in the file */
	int64_t next_save_ns; /* monotonic */
};

static void register_metrics(struct km_effects_file *f, struct km_metrics *m)
{
	static const char name[] = "kubemarla_effects_saves_total";
	static const char help[] = "Times that learned effects were to be written to their file.";

	f->written = km_metrics_counter(m, name, help, "result", "written", KM_LABELS_END);
	f->failed = km_metrics_counter(m, name, help, "result", "failed", KM_LABELS_END);
	f->bytes = km_metrics_gauge(m, "kubemarla_effects_file_bytes",
	                            "Size of the file of learned effects.", KM_LABELS_END);
}

/* returns whether there is nothing left at the path that could be lost. */
static bool set_aside(const struct km_effects_file *f, const struct km_err *why)
{
	size_t size = strlen(f->path) + sizeof(ASIDE);
	char *aside = malloc(size);
	bool moved = false;

	if (aside != NULL) {
		(void)snprintf(aside, size, "%s" ASIDE, f->path);
		moved = rename(f->path, aside) == 0;
	}
	if (moved) {
		km_log_error(ROOM,
		             "learned effects refused, nothing is known path=%s kept=%s "
		             "error=\"%s\"",
		             f->path, aside, why->text);
	}
	free(aside);
	return moved;
}

/* What the file says, or NULL. */
static struct km_effects *read_file(struct km_effects_file *f)
{
	struct km_effects *e = NULL;
	struct km_err err = { .code = 0 };
	int rc = km_file_read(f->path, MAX_BYTES, &f->buf, &err);

	if (rc == 0)
		rc = km_effects_read(f->buf.data, f->buf.len, &e, &err);
	if (rc == 0) {
		km_gauge_set(f->bytes, (double)f->buf.len);
		km_log_info(ROOM, "learned effects read path=%s bytes=%zu", f->path, f->buf.len);
	}
	f->keep = rc == 0 || rc == -ENOENT || (rc == -EBADMSG && set_aside(f, &err));
	if (!f->keep) {
		km_log_error(ROOM,
		             "learned effects unreadable, none will be kept path=%s "
		             "error=\"%s\"",
		             f->path, err.text);
	}
	return e;
}

static void destroy(struct km_effects_file *f)
{
	km_effects_free(f->effects);
	km_buf_fini(&f->buf);
	free(f->path);
	free(f);
}

int km_effects_file_open(const char *path, struct km_decide *d, const struct km_clock *clock,
                         struct km_metrics *metrics, struct km_effects_file **out,
                         struct km_err *err)
{
	struct km_effects_file *f = calloc(1, sizeof(*f));

	*out = NULL;
	if (f == NULL)
		return km_err_set(err, ENOMEM, "learned effects: out of memory");
	km_buf_init(&f->buf);
	f->path = strdup(path);
	f->decide = d;
	f->clock = clock;
	register_metrics(f, metrics);
	if (f->path != NULL)
		f->effects = read_file(f);
	if (f->path != NULL && f->effects == NULL)
		f->effects = km_effects_create(NULL);
	if (f->effects == NULL) {
		destroy(f);
		return km_err_set(err, ENOMEM, "learned effects: out of memory");
	}
	f->learned = km_decide_learned_effects(d);
	f->next_save_ns = km_clock_mono_ns(clock) + KM_EFFECTS_SAVE_NS;
	km_decide_attach_effects(d, f->effects);
	*out = f;
	return 0;
}

static void save(struct km_effects_file *f)
{
	/* First: who learns while this is written is written the next time. */
	uint64_t learned = km_decide_learned_effects(f->decide);
	struct km_err err = { .code = 0 };
	size_t last;
	int rc;

	if (!f->keep || learned == f->learned)
		return;
	last = f->buf.len;
	km_buf_clear(&f->buf);
	(void)km_buf_reserve(&f->buf, last + ROOM_TO_GROW);
	km_decide_write_effects(f->decide, &f->buf);
	rc = km_buf_ok(&f->buf) ? km_file_write_atomic(f->path, f->buf.data, f->buf.len, &err)
	                        : km_err_set(&err, ENOMEM, "out of memory");
	if (rc != 0) {
		km_counter_add(f->failed, 1);
		km_complain(&f->trouble, km_clock_mono_ns(f->clock), ROOM,
		            "learned effects not written error=\"%s\"", err.text);
		return;
	}
	f->learned = learned;
	km_counter_add(f->written, 1);
	km_gauge_set(f->bytes, (double)f->buf.len);
	km_recovered(&f->trouble, ROOM, "learned effects written path=%s", f->path);
}

void km_effects_file_tick(struct km_effects_file *f)
{
	int64_t now_ns = km_clock_mono_ns(f->clock);

	if (now_ns < f->next_save_ns)
		return;
	save(f);
	f->next_save_ns = now_ns + KM_EFFECTS_SAVE_NS;
}

void km_effects_file_close(struct km_effects_file *f)
{
	if (f == NULL)
		return;
	save(f);
	km_decide_attach_effects(f->decide, NULL);
	destroy(f);
}
