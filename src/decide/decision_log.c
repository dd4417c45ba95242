/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of the decision log and the thread that writes it. A request allocates and copies
 * before it takes the lock; the thread spells and writes after it has let it go.
 *
 * A line that the disk takes only in part is ended before the next one, so one line is lost, not
 * two; what the file has been told is told anew then.
 */
#include "km/decide/decision_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "km/base/complain.h"
#include "km/base/log.h"

#include "decision_log_internal.h"

#define ROOM        "decide"
#define QUEUE_MAX   256
#define QUEUE_BYTES ((size_t)32 << 20)
/* Not to be kept waiting by a pipe; files take no notice. */
#define OPEN_FLAGS     (O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define KEEP_BUF_BYTES ((size_t)1 << 20)
#define PIPE_WAIT_MS   1000
#define FILE_MODE      0640 /* names of pods are nobody else's business */

struct log_stats {
	struct km_counter *written;
	struct km_counter *bytes;
	struct km_counter *dropped_queue;
	struct km_counter *dropped_memory;
	struct km_counter *dropped_disk;
};

struct km_decision_log {
	struct km_cluster *cluster;
	const struct km_clock *clock;
	struct log_stats stats;
	_Atomic bool wanted;
	pthread_t thread;
	bool running; /* main thread */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t change;
	struct log_item *head;
	struct log_item *tail;
	size_t count;
	size_t bytes;
	bool stopping;
};

/* The writing thread's own. */
struct writer {
	struct km_decision_log *log;
	char *path; /* NULL = off */
	struct km_decide_settings settings;
	int fd;    /* -1 = not open */
	bool torn; /* the last line has no end */
	struct log_told told;
	struct km_buf buf;
	struct km_complain trouble;
};

static void register_metrics(struct log_stats *s, struct km_metrics *m)
{
	static const char dropped[] = "Calls that the decision log lost, by reason.";
	static const char name[] = "kubemarla_decision_log_dropped_total";

	s->written = km_metrics_counter(m, "kubemarla_decision_log_calls_total",
	                                "Calls to /filter and /prioritize in the decision log.",
	                                KM_LABELS_END);
	s->bytes = km_metrics_counter(m, "kubemarla_decision_log_bytes_total",
	                              "Bytes written to the decision log.", KM_LABELS_END);
	s->dropped_queue = km_metrics_counter(m, name, dropped, "reason", "queue", KM_LABELS_END);
	s->dropped_memory = km_metrics_counter(m, name, dropped, "reason", "memory", KM_LABELS_END);
	s->dropped_disk = km_metrics_counter(m, name, dropped, "reason", "disk", KM_LABELS_END);
}

int km_decision_log_create(struct km_cluster *cluster, const struct km_clock *clock,
                           struct km_metrics *metrics, struct km_decision_log **out,
                           struct km_err *err)
{
	struct km_decision_log *l = calloc(1, sizeof(*l));

	*out = NULL;
	if (l == NULL) {
		return km_err_set(err, ENOMEM, "decision log: out of memory");
	}
	l->cluster = cluster;
	l->clock = clock;
	(void)pthread_mutex_init(&l->lock, NULL); /* neither fails with default attributes */
	(void)pthread_cond_init(&l->change, NULL);
	register_metrics(&l->stats, metrics);
	*out = l;
	return 0;
}

static void change_free(struct log_change *c)
{
	if (c != NULL) {
		free(c->path);
		free(c);
	}
}

static void item_free(struct log_item *i)
{
	if (i != NULL) {
		change_free(i->change);
		km_cluster_put(i->snapshot);
		free(i);
	}
}

/* Under the lock. */
static void enqueue(struct km_decision_log *l, struct log_item *item)
{
	if (l->tail != NULL) {
		l->tail->next = item;
	} else {
		l->head = item;
	}
	l->tail = item;
	l->count++;
	l->bytes += item->bytes;
	(void)pthread_cond_signal(&l->change);
}

/* ---- the thread ---------------------------------------------------------------------------- */

static void close_file(struct writer *w)
{
	if (w->fd >= 0) {
		(void)close(w->fd); /* written is written; errors came with the writes */
	}
	w->fd = -1;
	w->torn = false;
	log_forget(&w->told);
}

/* A file that was begun before, by us or another: it may end in the middle of a line. */
static bool ends_in_a_line(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last = '\n';

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

static int open_file(struct writer *w)
{
	if (w->fd >= 0) {
		return 0;
	}
	w->fd = open(w->path, OPEN_FLAGS | O_RDWR | O_CREAT, FILE_MODE);
	if (w->fd < 0 && errno == EACCES) {
		w->fd = open(w->path, OPEN_FLAGS | O_WRONLY);
	}
	if (w->fd < 0) {
		return -errno;
	}
	w->torn = ends_in_a_line(w->fd);
	return 0;
}

static bool is_stopping(struct km_decision_log *l)
{
	bool stopping;

	(void)pthread_mutex_lock(&l->lock);
	stopping = l->stopping;
	(void)pthread_mutex_unlock(&l->lock);
	return stopping;
}

/* A pipe may be full: its reader gets a second, and nothing when we are to end. */
static bool has_room(const struct writer *w)
{
	struct pollfd room = { .fd = w->fd, .events = POLLOUT };

	return !is_stopping(w->log) && poll(&room, 1, PIPE_WAIT_MS) > 0;
}

/* returns 0 or a negative errno, with *done bytes written. */
static int write_all(const struct writer *w, size_t *done)
{
	*done = 0;
	while (*done < w->buf.len) {
		ssize_t n = write(w->fd, w->buf.data + *done, w->buf.len - *done);

		if (n > 0) {
			*done += (size_t)n;
		} else if (n == 0) {
			return -EIO;
		} else if (errno != EINTR && (errno != EAGAIN || !has_room(w))) {
			return -errno;
		}
	}
	return 0;
}

static void tell_trouble(struct writer *w, int rc)
{
	char text[128];

	km_counter_add(w->log->stats.dropped_disk, 1);
	km_complain(&w->trouble, km_clock_mono_ns(w->log->clock), ROOM,
	            "decision log not written file=%s error=\"%s\"", w->path,
	            km_strerror(-rc, text, sizeof(text)));
}

static void write_item(struct writer *w, const struct log_item *item)
{
	size_t done = 0;
	int rc = open_file(w);

	if (rc != 0) {
		tell_trouble(w, rc);
		return;
	}
	km_buf_clear(&w->buf);
	if (w->torn) {
		km_buf_char(&w->buf, '\n');
	}
	if (log_spell(&w->told, &w->settings, item, &w->buf) != 0) {
		km_counter_add(w->log->stats.dropped_memory, 1);
		return;
	}
	rc = write_all(w, &done);
	km_counter_add(w->log->stats.bytes, done);
	if (rc != 0) {
		w->torn = (w->torn && done == 0) || (done > 0 && w->buf.data[done - 1] != '\n');
		log_forget(&w->told);
		tell_trouble(w, rc);
	} else {
		w->torn = false;
		km_counter_add(w->log->stats.written, 1);
		km_recovered(&w->trouble, ROOM, "decision log is written file=%s", w->path);
	}
	if (w->buf.cap > KEEP_BUF_BYTES) {
		km_buf_fini(&w->buf);
	}
}

/* What was decided before a change has gone to the old file by now. */
static void change_file(struct writer *w, struct log_change *c)
{
	char *unused = w->path;

	close_file(w);
	w->path = c->path;
	w->settings = c->settings;
	c->path = unused;
}

/* Waits for the next item; NULL at the end, when nothing is left. */
static struct log_item *next(struct km_decision_log *l)
{
	struct log_item *item;

	(void)pthread_mutex_lock(&l->lock);
	while (l->head == NULL && !l->stopping) {
		(void)pthread_cond_wait(&l->change, &l->lock);
	}
	item = l->head;
	if (item != NULL) {
		l->head = item->next;
		l->tail = l->head != NULL ? l->tail : NULL;
		l->count--;
		l->bytes -= item->bytes;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return item;
}

static void *serve(void *arg)
{
	struct writer w = { .log = arg, .fd = -1, .trouble = KM_COMPLAIN_INIT };
	struct log_item *item;

	(void)pthread_setname_np(pthread_self(), "km-decisions");
	km_buf_init(&w.buf);
	while ((item = next(w.log)) != NULL) {
		if (item->change != NULL) {
			change_file(&w, item->change);
		} else if (w.path != NULL) {
			write_item(&w, item);
		}
		item_free(item);
	}
	close_file(&w);
	km_buf_fini(&w.buf);
	free(w.path);
	return NULL;
}

/* ---- main ----------------------------------------------------------------------------------- */

static int start_thread(struct km_decision_log *l, struct km_err *err)
{
	sigset_t all;
	sigset_t before;
	int rc;

	if (l->running) {
		return 0;
	}
	sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&l->thread, NULL, serve, l);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	l->running = rc == 0;
	return rc == 0 ? 0 : km_err_errno(err, rc, "decision log: thread");
}

/* An item that changes the file. NULL: no memory. */
static struct log_item *change_create(const struct km_decide_settings *s)
{
	bool on = s->log_path != NULL && s->log_path[0] != '\0';
	struct log_item *item = calloc(1, sizeof(*item));
	struct log_change *c = calloc(1, sizeof(*c));

	if (c != NULL && on) {
		c->path = strdup(s->log_path);
	}
	if (item == NULL || c == NULL || (on && c->path == NULL)) {
		change_free(c);
		free(item);
		return NULL;
	}
	c->settings = *s;
	c->settings.log_path = NULL;
	item->change = c;
	return item;
}

int km_decision_log_set(struct km_decision_log *l, const struct km_decide_settings *s,
                        struct km_err *err)
{
	struct log_item *item = change_create(s);
	bool on;
	int rc;

	if (item == NULL) {
		return km_err_set(err, ENOMEM, "decision log: out of memory");
	}
	on = item->change->path != NULL;
	rc = on ? start_thread(l, err) : 0;
	if (rc != 0 || !l->running) {
		item_free(item); /* it was off and stays so */
		return rc;
	}
	(void)pthread_mutex_lock(&l->lock);
	enqueue(l, item);
	(void)pthread_mutex_unlock(&l->lock);
	atomic_store(&l->wanted, on);
	return 0;
}

void km_decision_log_free(struct km_decision_log *l)
{
	if (l == NULL) {
		return;
	}
	if (l->running) {
		(void)pthread_mutex_lock(&l->lock);
		l->stopping = true;
		(void)pthread_cond_signal(&l->change);
		(void)pthread_mutex_unlock(&l->lock);
		(void)pthread_join(l->thread, NULL);
	}
	(void)pthread_cond_destroy(&l->change);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- requests ------------------------------------------------------------------------------- */

bool km_decision_log_wanted(const struct km_decision_log *l)
{
	return l != NULL && atomic_load_explicit(&l->wanted, memory_order_relaxed);
}

static size_t text_bytes(const struct km_decision_log_entry *e)
{
	const struct km_logged_decision *d = e->decision;
	const struct km_pod *p = &d->pod;
	size_t bytes = (size_t)p->namespace.len + p->name.len + p->uid.len + p->owner_kind.len +
	               p->owner_name.len + p->class_name.len + d->policy.len;

	for (size_t i = 0; i < p->label_count; i++) {
		bytes += (size_t)p->label[i].key.len + p->label[i].value.len;
	}
	for (size_t i = 0; i < d->count; i++) {
		bytes += e->name[i].len;
	}
	return bytes;
}

static struct km_name copy_text(char **to, struct km_name name)
{
	struct km_name copy = { *to, name.len };

	if (name.len > 0) {
		memcpy(*to, name.text, name.len);
	}
	*to += name.len;
	return copy;
}

/* Texts and labels of a pod, in place of the request's. */
static void copy_pod(char **to, struct km_pod *pod, struct km_label *label)
{
	pod->namespace = copy_text(to, pod->namespace);
	pod->name = copy_text(to, pod->name);
	pod->uid = copy_text(to, pod->uid);
	pod->owner_kind = copy_text(to, pod->owner_kind);
	pod->owner_name = copy_text(to, pod->owner_name);
	pod->class_name = copy_text(to, pod->class_name);
	for (size_t i = 0; i < pod->label_count; i++) {
		label[i].key = copy_text(to, pod->label[i].key);
		label[i].value = copy_text(to, pod->label[i].value);
	}
	pod->label = label;
}

/* One piece of memory: struct, labels, names, scores, rejections, texts. NULL: no memory. */
static struct log_item *item_create(const struct km_decision_log_entry *e)
{
	const struct km_logged_decision *d = e->decision;
	size_t each = sizeof(struct km_name) + sizeof(int32_t) + sizeof(bool);
	size_t bytes = sizeof(struct log_item) + d->pod.label_count * sizeof(struct km_label) +
	               d->count * each + text_bytes(e);
	struct log_item *item = malloc(bytes);
	struct km_label *label;
	struct km_name *name;
	int32_t *score;
	bool *rejected;
	char *text;

	if (item == NULL) {
		return NULL;
	}
	label = (struct km_label *)(item + 1);
	name = (struct km_name *)(label + d->pod.label_count);
	score = (int32_t *)(name + d->count);
	rejected = (bool *)(score + d->count);
	text = (char *)(rejected + d->count);
	*item = (struct log_item){ .bytes = bytes, .decision = *d, .name = name };
	copy_pod(&text, &item->decision.pod, label);
	item->decision.policy = copy_text(&text, d->policy);
	for (size_t i = 0; i < d->count; i++) {
		name[i] = copy_text(&text, e->name[i]);
		score[i] = e->verdict[i].score;
		rejected[i] = !e->verdict[i].passes;
	}
	item->decision.score = score;
	item->decision.rejected = rejected;
	return item;
}

void km_decision_log_add(struct km_decision_log *l, const struct km_decision_log_entry *e)
{
	struct log_item *item = item_create(e);
	bool room;

	if (item == NULL) {
		km_counter_add(l->stats.dropped_memory, 1);
		return;
	}
	item->snapshot = km_cluster_get(l->cluster);
	(void)pthread_mutex_lock(&l->lock);
	room = l->count < QUEUE_MAX && item->bytes <= QUEUE_BYTES - l->bytes;
	if (room) {
		enqueue(l, item);
	}
	(void)pthread_mutex_unlock(&l->lock);
	if (!room) {
		km_counter_add(l->stats.dropped_queue, 1);
		item_free(item);
	}
}
