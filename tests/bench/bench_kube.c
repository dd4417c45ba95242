/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of pods as an API server sends them (some 5 KB each, half of it managedFields), in pages of
 * 500: what cutting and checking them takes, and decoding them, beside plain cJSON on the same
 * pages; then a whole reflector over loopback with 100,000 of them, its time and its memory, and a
 * watch of as many changes. SYNTHETIC pods, one server process of the bench's own.
 * usage: bench_kube [PODS]   (default 100000)
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "km/base/arena.h"
#include "km/base/buf.h"
#include "km/kube/watch.h"
#include "km/wire/kube_objects.h"
#include "km/wire/kube_stream.h"

#define PAGE  500
#define CHUNK 16384 /* what libcurl hands on at once */

struct bench {
	unsigned pods;
	struct km_arena arena;
	uint64_t seen, millis; /* so that nothing is optimised away */
	bool decode;
	struct km_kube *kube;
	double listed_s, began_s, cpu_listed_s;
	unsigned events;
};

static double clock_s(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Resident memory's highest so far, of this process. */
static double peak_mib(void)
{
	char line[256];
	double kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtod(line + 6, NULL);
	}
	if (f != NULL)
		(void)fclose(f);
	return kib / 1024;
}

/* ---- pods ----------------------------------------------------------------------------------- */

static void write_managed_fields(struct km_buf *out)
{
	static const char *const managers[] = { "kube-controller-manager", "kubelet",
		                                "kube-scheduler" };

	km_buf_str(out, "\"managedFields\":[");
	for (size_t m = 0; m < KM_ARRAY_LEN(managers); m++) {
		km_buf_printf(out,
		              "%s{\"manager\":\"%s\",\"operation\":\"Update\",\"apiVersion\":"
		              "\"v1\",\"time\":\"2026-01-02T03:04:05Z\",\"fieldsType\":"
		              "\"FieldsV1\",\"fieldsV1\":{\"f:metadata\":{\"f:labels\":{\".\":{}",
		              m > 0 ? "," : "", managers[m]);
		for (int i = 0; i < 20; i++)
			km_buf_printf(out, ",\"k:{\\\"containerPort\\\":%d}\":{\".\":{}}",
			              8000 + i);
		km_buf_str(out, "}}}}");
	}
	km_buf_char(out, ']');
}

static void write_pod(struct km_buf *out, unsigned i, unsigned long version)
{
	km_buf_printf(
		out,
		"{\"metadata\":{\"name\":\"web-%u-7d4b9c6f5-%05u\",\"generateName\":"
		"\"web-%u-7d4b9c6f5-\",\"namespace\":\"shop-%u\",\"uid\":"
		"\"8f3f0c1e-0000-4000-8000-%012u\",\"resourceVersion\":\"%lu\","
		"\"creationTimestamp\":\"2026-01-02T03:04:05Z\",\"labels\":{\"app\":\"web-%u\","
		"\"pod-template-hash\":\"7d4b9c6f5\",\"team\":\"a\"},\"annotations\":{"
		"\"kubemarla.io/rps\":\"%u\"},\"ownerReferences\":[{\"apiVersion\":\"apps/v1\","
		"\"kind\":\"ReplicaSet\",\"name\":\"web-%u-7d4b9c6f5\",\"uid\":\"u\","
		"\"controller\":true,\"blockOwnerDeletion\":true}],",
		i / 20, i, i / 20, i % 50, i, version, i / 20, 100 + i % 900, i / 20);
	write_managed_fields(out);
	km_buf_printf(
		out,
		"},\"spec\":{\"volumes\":[{\"name\":\"kube-api-access-x\",\"projected\":{"
		"\"sources\":[{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":"
		"\"token\"}},{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":"
		"\"ca.crt\",\"path\":\"ca.crt\"}]}}],\"defaultMode\":420}}],\"containers\":[{"
		"\"name\":\"web\",\"image\":\"registry.example/web:1.2.3\",\"ports\":[{"
		"\"containerPort\":8080,\"protocol\":\"TCP\"}],\"resources\":{\"limits\":{"
		"\"cpu\":\"1\",\"memory\":\"512Mi\"},\"requests\":{\"cpu\":\"%um\",\"memory\":"
		"\"256Mi\"}},\"volumeMounts\":[{\"name\":\"kube-api-access-x\",\"readOnly\":"
		"true,\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}],"
		"\"terminationMessagePath\":\"/dev/termination-log\",\"imagePullPolicy\":"
		"\"IfNotPresent\"}],\"restartPolicy\":\"Always\",\"dnsPolicy\":\"ClusterFirst\","
		"\"serviceAccountName\":\"default\",\"nodeName\":\"node-%04u\",\"schedulerName\":"
		"\"kubemarla\",\"tolerations\":[{\"key\":\"node.kubernetes.io/not-ready\","
		"\"operator\":\"Exists\",\"effect\":\"NoExecute\",\"tolerationSeconds\":300}],"
		"\"priority\":0,\"enableServiceLinks\":true},\"status\":{\"phase\":\"Running\","
		"\"conditions\":[",
		100 + i % 400, i % 5000);
	for (int c = 0; c < 4; c++) {
		static const char *const types[] = { "PodReadyToStartContainers", "Initialized",
			                             "Ready", "PodScheduled" };

		km_buf_printf(out,
		              "%s{\"type\":\"%s\",\"status\":\"True\",\"lastProbeTime\":null,"
		              "\"lastTransitionTime\":\"2026-01-02T03:04:07Z\"}",
		              c > 0 ? "," : "", types[c]);
	}
	km_buf_printf(
		out,
		"],\"hostIP\":\"10.0.%u.%u\",\"podIP\":\"10.244.%u.%u\",\"startTime\":"
		"\"2026-01-02T03:04:06Z\",\"containerStatuses\":[{\"name\":\"web\",\"state\":{"
		"\"running\":{\"startedAt\":\"2026-01-02T03:04:07Z\"}},\"lastState\":{},"
		"\"ready\":true,\"restartCount\":0,\"image\":\"registry.example/web:1.2.3\","
		"\"imageID\":\"registry.example/web@sha256:%064u\",\"containerID\":"
		"\"containerd://%064u\",\"started\":true}],\"qosClass\":\"Burstable\"}}",
		i / 250 % 250, i % 250, i / 250 % 250, i % 250, i, i);
}

static void write_items(struct km_buf *out, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			km_buf_char(out, ',');
		write_pod(out, i, 1000 + i);
	}
	km_buf_str(out, "]}\n");
}

static void write_head(struct km_buf *out, unsigned next)
{
	km_buf_str(out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
	                "\"resourceVersion\":\"1000000\"");
	if (next > 0)
		km_buf_printf(out, ",\"continue\":\"at-%u\"", next);
	km_buf_str(out, "},\"items\":[");
}

/* ---- parsing alone -------------------------------------------------------------------------- */

static int on_object(void *ctx, const char *json, size_t len)
{
	struct bench *b = ctx;
	struct km_kube_pod pod;

	b->seen++;
	if (!b->decode)
		return 0;
	km_arena_reset(&b->arena);
	if (km_kube_pod_decode(json, len, &b->arena, &pod) != 0)
		return -1;
	b->millis += (uint64_t)pod.cpu_millis;
	return 0;
}

static void parse_ours(struct bench *b, const struct km_buf *page)
{
	struct km_kube_list *l;
	struct km_err err = { .code = 0 };
	int rc = km_kube_list_create(KM_KUBE_OBJECT_MAX_BYTES, on_object, b, &l);

	for (size_t at = 0; rc == 0 && at < page->len; at += CHUNK)
		rc = km_kube_list_feed(l, page->data + at,
		                       page->len - at < CHUNK ? page->len - at : CHUNK, &err);
	if (rc != 0 || km_kube_list_end(l, &err) != 0) {
		(void)fprintf(stderr, "bench_kube: %s\n", err.text);
		exit(1);
	}
	km_kube_list_free(l);
}

/* The page whole, and of each pod three members: far less than ours reads. */
static void parse_cjson(struct bench *b, const struct km_buf *page)
{
	cJSON *list = cJSON_ParseWithLength(page->data, page->len);
	const cJSON *pod;

	cJSON_ArrayForEach(pod, cJSON_GetObjectItemCaseSensitive(list, "items"))
	{
		const cJSON *meta = cJSON_GetObjectItemCaseSensitive(pod, "metadata");
		const cJSON *spec = cJSON_GetObjectItemCaseSensitive(pod, "spec");

		b->seen += cJSON_GetObjectItemCaseSensitive(meta, "name") != NULL &&
		           cJSON_GetObjectItemCaseSensitive(spec, "nodeName") != NULL;
	}
	cJSON_Delete(list);
}

static void parse_rows(struct bench *b)
{
	static const struct {
		const char *name;
		void (*parse)(struct bench *, const struct km_buf *);
		bool decode;
	} rows[] = {
		{ "cut-and-check", parse_ours, false },
		{ "cut-check-decode", parse_ours, true },
		{ "cjson-parse", parse_cjson, false },
	};
	struct km_buf page;

	(void)printf("%-18s %10s %10s %10s\n", "parse", "us/pod", "MB/s", "peak-MiB");
	km_buf_init(&page);
	write_head(&page, PAGE);
	write_items(&page, PAGE);
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		double took_s;
		double began_s;
		unsigned rounds = b->pods / PAGE / 4 + 1;

		b->decode = rows[i].decode;
		b->seen = 0;
		rows[i].parse(b, &page); /* warm */
		began_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
		for (unsigned r = 0; r < rounds; r++)
			rows[i].parse(b, &page);
		took_s = clock_s(CLOCK_THREAD_CPUTIME_ID) - began_s;
		(void)printf("%-18s %10.2f %10.0f %10.1f\n", rows[i].name,
		             took_s * 1e6 / rounds / PAGE, (double)page.len * rounds / took_s / 1e6,
		             peak_mib());
	}
	(void)printf("bytes of a pod: %zu\n\n", page.len / PAGE);
	km_buf_fini(&page);
}

/* ---- a whole list and a watch over loopback ------------------------------------------------- */

static bool send_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* The pods of all pages and events are the same 500: what is measured is their reader. */
static bool send_page(int fd, const struct km_buf *items, unsigned next)
{
	struct km_buf head;
	char status[128];
	bool sent;

	km_buf_init(&head);
	write_head(&head, next);
	(void)snprintf(status, sizeof(status), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	               head.len + items->len);
	sent = send_all(fd, status, strlen(status)) && send_all(fd, head.data, head.len) &&
	       send_all(fd, items->data, items->len);
	km_buf_fini(&head);
	return sent;
}

/* So many changes; then silence. */
static void send_watch(int fd, unsigned pods)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	struct km_buf out;
	bool sent;

	km_buf_init(&out);
	for (unsigned k = 0; k < PAGE; k++) {
		km_buf_str(&out, "{\"type\":\"MODIFIED\",\"object\":");
		write_pod(&out, k, 2000000 + k);
		km_buf_str(&out, "}\n");
	}
	sent = send_all(fd, head, sizeof(head) - 1);
	for (unsigned i = 0; sent && i < pods; i += PAGE)
		sent = send_all(fd, out.data, out.len);
	km_buf_fini(&out);
	(void)pause();
}

static void serve(int listener, unsigned pods)
{
	struct km_buf items;
	char request[4096];

	km_buf_init(&items);
	write_items(&items, PAGE);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t n;

		while (fd >= 0 && (n = recv(fd, request, sizeof(request) - 1, 0)) > 0) {
			unsigned first = 0;
			const char *at;

			request[n] = '\0';
			if (strstr(request, "watch=1") != NULL)
				send_watch(fd, pods);
			at = strstr(request, "continue=at-");
			if (at != NULL)
				first = (unsigned)strtoul(at + 12, NULL, 10);
			if (!send_page(fd, &items, first + PAGE < pods ? first + PAGE : 0))
				break;
		}
		(void)close(fd);
	}
}

static int on_event(void *ctx, enum km_kube_event event, const char *json, size_t len)
{
	struct bench *b = ctx;
	int rc = on_object(b, json, len);

	if (event == KM_KUBE_MODIFIED && ++b->events == b->pods)
		km_kube_stop(b->kube);
	return rc;
}

static void on_listed(void *ctx)
{
	struct bench *b = ctx;

	b->listed_s = clock_s(CLOCK_MONOTONIC);
	b->cpu_listed_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
}

static void reflect(struct bench *b, const char *url)
{
	struct km_kubernetes_settings settings = { 0 };
	struct km_kube_credentials *credentials;
	const struct km_kube_watch_options options = {
		.path = "/api/v1/pods", .object = on_event, .listed = on_listed, .ctx = b
	};
	struct km_err err = { .code = 0 };
	char path[] = "/tmp/km-bench-kube-XXXXXX";
	int fd = mkstemp(path);
	double before_mib;
	double began_cpu_s;
	double end_s;

	if (fd < 0 ||
	    dprintf(fd,
	            "current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n"
	            "clusters: [{name: c, cluster: {server: \"%s\"}}]\n",
	            url) < 0 ||
	    close(fd) != 0)
		die("kubeconfig");
	settings.kubeconfig = path;
	if (km_kube_credentials_find(&settings, &credentials, &err) != 0 ||
	    km_kube_create(credentials, NULL, &b->kube, &err) != 0) {
		(void)fprintf(stderr, "bench_kube: %s\n", err.text);
		exit(1);
	}
	(void)unlink(path);
	b->decode = true;
	b->seen = 0;
	before_mib = peak_mib();
	b->began_s = clock_s(CLOCK_MONOTONIC);
	began_cpu_s = clock_s(CLOCK_THREAD_CPUTIME_ID);
	if (km_kube_watch_run(b->kube, &options) == -ENOMEM)
		die("reflector");
	end_s = clock_s(CLOCK_MONOTONIC);
	(void)printf("%-18s %10s %10s %10s %10s\n", "reflector", "objects", "s", "cpu-s",
	             "peak-MiB");
	(void)printf("%-18s %10u %10.2f %10.2f %10.1f\n", "list", b->pods, b->listed_s - b->began_s,
	             b->cpu_listed_s - began_cpu_s, peak_mib());
	(void)printf("%-18s %10u %10.2f %10.2f %10.1f\n", "watch", b->events, end_s - b->listed_s,
	             clock_s(CLOCK_THREAD_CPUTIME_ID) - b->cpu_listed_s, peak_mib());
	(void)printf("peak before: %.1f MiB\n", before_mib);
	km_kube_free(b->kube);
	km_kube_credentials_free(credentials);
}

int main(int argc, char **argv)
{
	struct bench b = { .pods = 100000 };
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char url[64];
	pid_t child;

	if (argc > 1)
		b.pods = (unsigned)strtoul(argv[1], NULL, 10) / PAGE * PAGE;
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, len) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) != 0 || listen(listener, 16) != 0)
		die("socket");
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", ntohs(at.sin_port));
	child = fork(); /* before anything is loaded: its memory is not ours */
	if (child == 0)
		serve(listener, b.pods);
	km_arena_init(&b.arena, 1 << 16);
	/* first, so that the peak is its own */
	reflect(&b, url);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	(void)printf("\n");
	parse_rows(&b);
	km_arena_fini(&b.arena);
	return b.millis == 42;
}
