/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy: controllers with their threads, two of them, against a fake API server on loopback (whose
 * rules are not the real one's: tests/e2e has that). What takes 15 s is test_kube_lease's business.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "km/base/log.h"
#include "km/cluster/cluster.h"
#include "km/config/policy_file.h"
#include "km/policy/controller.h"

#include "support/fake_apiserver.h"

#define LEASES   "/apis/coordination.k8s.io/v1/leases"
#define POLICIES "/apis/kubemarla.io/v1alpha1/interferencepolicies"
#define POLICY                                                                                     \
	"{\"apiVersion\":\"kubemarla.io/v1alpha1\",\"kind\":\"InterferencePolicy\",\"metadata\":{" \
	"\"name\":\"slo\",\"namespace\":\"shop\",\"uid\":\"u\",\"generation\":1},\"spec\":{"       \
	"\"selector\":{}}}"

/* One process, as far as controllers go. */
struct process {
	struct km_metrics *metrics;
	struct km_cluster *cluster;
	struct km_decide *decide;
	struct km_view *view;
	struct km_controller *controller;
};

static struct fake_apiserver server;
static struct km_kube_credentials *credentials;
static char config[64];

static struct km_policies *feed_policies(void *ctx, struct km_policies *p)
{
	struct process *one = ctx;

	km_decide_set_policies(one->decide, p);
	return km_policies_ref(p);
}

static struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static void begin(struct process *one)
{
	struct km_controller_settings settings = { .lease = (char[]){ "kubemarla-controller" },
		                                   .interval_ns = KM_NS_PER_S,
		                                   .prometheus = (char[]){ "" },
		                                   .query_interval_ns = 15 * KM_NS_PER_S };
	struct km_decide_settings decide = {
		.max_age_ns = 15 * KM_NS_PER_S,
		.score_scale = 10,
		.min_max_slowdown = 1.2,
		.default_workload = { .rps = 1000, .replicas = 1, .max_slowdown = 2 }
	};
	const struct km_view_feed feed = { .policies = feed_policies, .ctx = one };
	const struct km_view_policy policy = { .namespace = name_of("shop"),
		                               .name = name_of("slo"),
		                               .uid = name_of("u"),
		                               .json = name_of(POLICY),
		                               .generation = 1 };
	const struct km_clock *clock = km_clock_system();

	assert_int_equal(km_metrics_create(&one->metrics, NULL), 0);
	assert_int_equal(km_cluster_create(NULL, 0, &one->cluster, NULL), 0);
	assert_int_equal(
		km_decide_create(&decide, one->cluster, clock, one->metrics, &one->decide, NULL),
		0);
	assert_int_equal(
		km_view_create(&(struct km_view_options){ .clock = clock,
	                                                  .feed = &feed,
	                                                  .parse_policy = km_policy_parse },
	                       &one->view, NULL),
		0);
	assert_int_equal(km_view_set_policy(one->view, &policy), 0);
	for (unsigned i = 0; i < KM_VIEW_KINDS; i++)
		km_view_listed(one->view, (enum km_view_kind)i);
	km_view_step(one->view);
	assert_int_equal(
		km_controller_create(&(struct km_controller_options){ .settings = &settings,
	                                                              .view = one->view,
	                                                              .decide = one->decide,
	                                                              .credentials = credentials,
	                                                              .clock = clock,
	                                                              .metrics = one->metrics,
	                                                              .window_s = 60 },
	                             &one->controller, NULL),
		0);
	assert_int_equal(km_metrics_check(one->metrics, NULL), 0);
	assert_int_equal(km_controller_start(one->controller, NULL), 0);
}

static void end(struct process *one)
{
	km_controller_free(one->controller);
	km_view_free(one->view);
	km_decide_free(one->decide);
	km_cluster_free(one->cluster);
	km_metrics_free(one->metrics);
}

static int set_up(void **state)
{
	struct km_kubernetes_settings settings = { .kubeconfig = config,
		                                   .context = (char[]){ "" },
		                                   .namespace = (char[]){ "kubemarla-system" } };
	struct km_err err = { .code = 0 };
	int fd;

	(void)state;
	(void)snprintf(config, sizeof(config), "/tmp/km-live-XXXXXX");
	fd = mkstemp(config);
	assert_true(fd >= 0);
	(void)close(fd);
	fake_apiserver_start(&server);
	fake_apiserver_put(&server, POLICIES, POLICY);
	fake_apiserver_kubeconfig(&server, config);
	if (km_kube_credentials_find(&settings, &credentials, &err) != 0)
		fail_msg("%s", err.text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	km_kube_credentials_free(credentials);
	fake_apiserver_stop(&server);
	(void)unlink(config);
	return 0;
}

static bool leads(const struct process *one)
{
	struct km_controller_health h;

	km_controller_health(one->controller, &h);
	return h.leading;
}

static void of_two_one_acts_and_hands_over(void **state)
{
	struct process two[2];
	char *object;
	int first;

	(void)state;
	begin(&two[0]);
	begin(&two[1]);
	assert_true(fake_apiserver_wait_requests(&server, "/interferencepolicies/slo/status", 1));
	first = leads(&two[1]);
	assert_true(leads(&two[first]) && !leads(&two[1 - first]));
	/* both have looked at the Lease again by now, and nothing has changed */
	assert_true(fake_apiserver_wait_requests(&server, "/leases", 8));
	assert_int_equal(fake_apiserver_requests(&server, "/status"), 1);
	object = fake_apiserver_get(&server, POLICIES, "shop", "slo");
	assert_non_null(object);
	assert_non_null(strstr(object, "\"ModelUsable\""));
	free(object);
	km_controller_stop(two[first].controller);
	assert_false(leads(&two[first]));
	object = fake_apiserver_get(&server, LEASES, "kubemarla-system", "kubemarla-controller");
	assert_non_null(object);
	assert_non_null(strstr(object, "leaseTransitions"));
	free(object);
	/* the other one has the same to say: it reads what its view has, which is as before */
	assert_true(fake_apiserver_wait_requests(&server, "/status", 2));
	assert_true(leads(&two[1 - first]));
	end(&two[0]);
	end(&two[1]);
}

/* Somebody labels the Lease: an update of what was is refused with 409, and made again. */
static void a_lease_that_was_touched_is_kept(void **state)
{
	struct process one;
	unsigned puts;
	char *object;

	(void)state;
	begin(&one);
	assert_true(fake_apiserver_wait_requests(&server, "PUT /apis/coordination", 1));
	object = fake_apiserver_get(&server, LEASES, "kubemarla-system", "kubemarla-controller");
	assert_non_null(object);
	fake_apiserver_put(&server, LEASES, object);
	free(object);
	puts = fake_apiserver_requests(&server, "PUT /apis/coordination");
	assert_true(fake_apiserver_wait_requests(&server, "PUT /apis/coordination", puts + 3));
	assert_true(leads(&one));
	end(&one);
}

/* A server that says nothing more does not keep a stop waiting for its deadline. */
static void a_stop_is_prompt_whatever_the_server_does(void **state)
{
	struct process one;

	(void)state;
	fake_apiserver_fault(&server, &(struct fake_fault){ .match = "/leases", .hang = true });
	begin(&one);
	assert_true(fake_apiserver_wait_requests(&server, "/leases", 1));
	end(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(of_two_one_acts_and_hands_over, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lease_that_was_touched_is_kept, set_up,
		                                tear_down),
		cmocka_unit_test_setup_teardown(a_stop_is_prompt_whatever_the_server_does, set_up,
		                                tear_down),
	};

	km_log_set_level(KM_LOG_ERROR);
	return cmocka_run_group_tests_name("policy live", tests, NULL, NULL);
}
