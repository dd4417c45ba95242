/* SPDX-License-Identifier: Apache-2.0 */
/* kubectl as a bounded child: arguments, standard input, what it said. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cluster.h"

#define ARGS_MAX 64
#define OUT_MAX  ((size_t)1 << 20)
#define POLL_NS  (300 * KM_NS_PER_MS)
#define DIGITS   "0123456789"

int cluster_kubectl_start(struct km_rig *rig, const char *const *args, const struct km_buf *input,
                          struct km_child **out, struct km_err *err)
{
	const struct km_plan_cluster *c = &rig->plan->cluster;
	const char *argv[ARGS_MAX] = { c->kubectl };
	struct km_child_spec spec = {
		.argv = argv,
		.max_out_bytes = OUT_MAX,
		.tied_signal = SIGKILL,
	};
	size_t n = 1;
	int rc;

	if (c->context[0] != '\0') {
		argv[n++] = "--context";
		argv[n++] = c->context;
	}
	argv[n++] = "--namespace";
	argv[n++] = c->namespace;
	for (size_t i = 0; args[i] != NULL; i++) {
		if (n + 1 >= ARGS_MAX)
			return km_err_set(err, E2BIG, "kubectl: more than %d words", ARGS_MAX);
		argv[n++] = args[i];
	}
	if (input != NULL) {
		spec.stdin_fd = km_child_input(input);
		if (spec.stdin_fd < 0)
			return km_err_errno(err, -spec.stdin_fd, "kubectl: a file in memory");
	}
	rc = km_child_start(&spec, out, err);
	if (spec.stdin_fd > 0)
		(void)close(spec.stdin_fd);
	if (rc == -ENOENT) {
		(void)km_err_set(err, ENOENT,
		                 "%.60s is not installed: kubernetes.io/docs/tasks/tools, or set "
		                 "cluster.kubectl",
		                 c->kubectl);
	}
	return rc;
}

/* The first line says most, unless it is one of the client library's log: "E1130 15:33:31.851748".
 */
static const char *why_failed(const struct km_child *c, char words[KM_CHILD_WORDS_MAX + 1])
{
	const char *first = km_child_words(c, true, words);

	if (strchr("EWIF", first[0]) != NULL && strspn(first + (first[0] != '\0'), DIGITS) == 4)
		return km_child_words(c, false, words);
	return first;
}

int cluster_kubectl(struct km_rig *rig, const char *const *args, const struct km_buf *input,
                    int64_t limit_ns, bool looped, struct km_buf *out, struct km_err *err)
{
	char words[KM_CHILD_WORDS_MAX + 1];
	struct km_child *c = NULL;
	int rc = cluster_kubectl_start(rig, args, input, &c, err);

	if (rc != 0)
		return rc;
	if (looped)
		rc = rig_loop(rig, rig_now_ns() + limit_ns, c, err);
	else if (!km_child_await(c, limit_ns))
		rc = km_err_set(err, ETIMEDOUT, "did not finish in time");
	if (rc == -ETIMEDOUT)
		(void)km_err_prefix(err, "kubectl %s", args[0]);
	if (rc == 0 && !km_child_succeeded(c))
		rc = km_err_set(err, EIO, "kubectl %s: %s", args[0], why_failed(c, words));
	if (rc == 0 && out != NULL) {
		km_buf_append(out, km_child_output(c)->data, km_child_output(c)->len);
		if (!km_buf_ok(out))
			rc = km_err_set(err, ENOMEM, "kubectl: out of memory");
	}
	km_child_free(c);
	return rc;
}

/* What keeps a container from starting, for good as far as an experiment is concerned. */
static bool hopeless(const char *status)
{
	static const char *const reasons[] = {
		"ErrImage",
		"ImagePullBackOff",
		"InvalidImageName",
		"CreateContainerConfigError",
		"CreateContainerError",
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(reasons); i++) {
		if (strstr(status, reasons[i]) != NULL)
			return true;
	}
	return false;
}

int cluster_pod_runs(struct km_rig *rig, const char *label, struct km_err *err)
{
	static const char path[] = "jsonpath={range .items[*]}{.status.phase} "
				   "{.status.containerStatuses[*].state.waiting.reason}{end}";
	const char *const args[] = { "get", "pods", "-l", label, "-o", path, NULL };
	int64_t deadline_ns = rig_now_ns() + CLUSTER_READY_NS;
	struct km_buf said;
	int rc = 0;

	km_buf_init(&said);
	while (rc == 0) {
		const char *status;

		km_buf_clear(&said);
		rc = cluster_kubectl(rig, args, NULL, CLUSTER_ASK_NS, true, &said, err);
		status = km_buf_cstr(&said);
		if (rc != 0 || strncmp(status, "Running", 7) == 0 ||
		    strncmp(status, "Succeeded", 9) == 0 || strncmp(status, "Failed", 6) == 0)
			break;
		if (hopeless(status)) {
			rc = km_err_set(err, EIO, "pod %s does not start: %.80s", label, status);
		} else if (rig_now_ns() >= deadline_ns) {
			rc = km_err_set(err, ETIMEDOUT, "pod %s does not run after %lld s: %.80s",
			                label, (long long)(CLUSTER_READY_NS / KM_NS_PER_S),
			                said.len > 0 ? status : "there is none");
		} else {
			rc = rig_loop(rig, rig_now_ns() + POLL_NS, NULL, err);
		}
	}
	km_buf_fini(&said);
	return rc;
}
