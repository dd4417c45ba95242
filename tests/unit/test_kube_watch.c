/* SPDX-License-Identifier: Apache-2.0 */
/* The reflector against a fake API server that goes wrong in every way a real one does. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "support/kube_world.h"

#define RESTARTS "kubemarla_kube_watch_restarts_total{resource=\"pods\",reason="
#define EVENTS   "kubemarla_kube_watch_events_total{resource=\"pods\",type="
#define RELISTS  "kubemarla_kube_relists_total{resource=\"pods\"}"
#define SKIPPED  "kubemarla_kube_objects_skipped_total{resource=\"pods\"}"
#define SILENCE  "kubemarla_kube_watch_silence_seconds{resource=\"pods\"}"

static struct kube_world world;

static int set_up(void **state)
{
	(void)state;
	kube_world_init(&world);
	for (int i = 0; i < 7; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "pod-%d", i);
		kube_world_put(&world, i < 4 ? "a" : "b", name);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kube_world_fini(&world);
	return 0;
}

static void start(void)
{
	kube_world_run(&world);
	assert_true(fake_apiserver_wait_watches(&world.server, "/pods", 1));
	assert_true(kube_world_wait_same(&world));
}

static bool is_live(struct kube_world *w)
{
	return w->live;
}

static bool is_lost(struct kube_world *w)
{
	return w->losses > 0;
}

static void a_list_comes_in_pages_and_a_watch_goes_on_from_it(void **state)
{
	(void)state;
	start();
	assert_int_equal(fake_apiserver_requests(&world.server, "limit=3"), 3);
	assert_int_equal(fake_apiserver_requests(&world.server, "continue=1007%2Fa%2Fpod-3"), 1);
	assert_int_equal(fake_apiserver_requests(&world.server, "resourceVersion=1007"), 1);
	assert_int_equal(fake_apiserver_requests(&world.server, "allowWatchBookmarks=true"), 1);
	assert_true(kube_world_wait(&world, is_live));
	kube_world_put(&world, "a", "new");
	kube_world_put(&world, "a", "pod-1");
	assert_true(fake_apiserver_delete(&world.server, "/api/v1/pods", "b", "pod-6"));
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.told[KM_KUBE_LISTED], 7);
	assert_int_equal(world.told[KM_KUBE_ADDED], 1);
	assert_int_equal(world.told[KM_KUBE_MODIFIED], 1);
	assert_int_equal(world.told[KM_KUBE_DELETED], 1);
	assert_false(world.mistaken);
	assert_int_equal(world.losses, 0);
	assert_true(kube_world_metric(&world, SILENCE) >= 0);
	assert_true(kube_world_metric(
			    &world, "kubemarla_kube_requests_total{verb=\"list\",code=\"200\"}") ==
	            3);
	kube_world_stop(&world);
	/* not measured any more */
	assert_true(kube_world_metric(&world, SILENCE) == -1);
}

static void selectors_are_escaped(void **state)
{
	(void)state;
	world.options.label_selector = "app in (a,b),x!=y&z";
	world.options.field_selector = "spec.nodeName=n 1";
	kube_world_run(&world);
	assert_true(fake_apiserver_wait_requests(
		&world.server, "watch=1&allowWatchBookmarks=true&timeoutSeconds=", 1));
	assert_int_equal(
		fake_apiserver_requests(&world.server,
	                                "&labelSelector=app%20in%20%28a%2Cb%29%2Cx%21%3Dy%26z"
	                                "&fieldSelector=spec.nodeName%3Dn%201"),
		2);
}

static void a_watch_that_ends_in_order_goes_on_from_its_bookmark(void **state)
{
	(void)state;
	start();
	/* the version moves on without an event of ours */
	fake_apiserver_put(&world.server, "/api/v1/nodes", "{\"metadata\":{\"name\":\"n\"}}");
	assert_int_equal(fake_apiserver_bookmark(&world.server, "/pods"), 1);
	assert_int_equal(fake_apiserver_end(&world.server, "/pods", true), 1);
	assert_true(fake_apiserver_wait_requests(&world.server, "resourceVersion=1008", 1));
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.listeds, 1);
	assert_int_equal(world.losses, 0);
	assert_true(kube_world_metric(&world, RESTARTS "\"timeout\"}") == 1);
	assert_true(kube_world_metric(&world, RELISTS) == 0);
	assert_true(kube_world_wait_metric(&world, EVENTS "\"bookmark\"}", 1));
	assert_true(kube_world_wait_metric(&world, EVENTS "\"added\"}", 1));
}

static void a_broken_stream_goes_on_where_it_was(void **state)
{
	static const char half[] = "{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"namespace\":"
				   "\"a\",\"name\":\"pod-1\",\"resourceVersion\":\"5000\"}}}\n";

	(void)state;
	start();
	/* cut at every byte of a line: without its end it never happened */
	for (size_t cut = 0; cut < sizeof(half) - 1; cut += 7) {
		assert_int_equal(fake_apiserver_say(&world.server, "/pods", half, cut), 1);
		assert_int_equal(fake_apiserver_cut(&world.server, "/pods"), 1);
		assert_true(fake_apiserver_wait_watches(&world.server, "/pods", 1));
	}
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.told[KM_KUBE_DELETED], 0);
	assert_int_equal(world.listeds, 1);
	assert_true(kube_world_wait(&world, is_live));
	assert_true(world.losses > 0);
	assert_true(kube_world_metric(&world, RESTARTS "\"network\"}") > 0);
}

static void a_list_cut_anywhere_is_made_again(void **state)
{
	(void)state;
	for (size_t cut = 0; cut < 300; cut += 23) {
		fake_apiserver_fault(&world.server, &(struct fake_fault){ .match = "limit=3",
		                                                          .count = 1,
		                                                          .cut = true,
		                                                          .cut_after = cut });
	}
	fake_apiserver_fault(
		&world.server,
		&(struct fake_fault){ .match = "limit=3", .count = 1, .no_answer = true });
	start();
	assert_true(world.listings > 1);
	assert_int_equal(world.listeds, 1);
}

static void a_page_that_is_refused_is_asked_again(void **state)
{
	(void)state;
	fake_apiserver_fault(
		&world.server,
		&(struct fake_fault){ .match = "continue=", .count = 3, .status = 500 });
	start();
	assert_int_equal(world.listings, 1);
	assert_int_equal(fake_apiserver_requests(&world.server, "limit=3"), 6);
}

static void what_went_during_an_outage_goes_with_the_next_list(void **state)
{
	(void)state;
	start();
	/* a new watch is refused for a while; meanwhile its version becomes too old */
	fake_apiserver_fault(&world.server,
	                     &(struct fake_fault){ .match = "watch=1", .count = 0, .status = 503 });
	assert_int_equal(fake_apiserver_cut(&world.server, "/pods"), 1);
	assert_true(kube_world_wait(&world, is_lost));
	assert_true(fake_apiserver_delete(&world.server, "/api/v1/pods", "a", "pod-1"));
	kube_world_put(&world, "a", "new");
	fake_apiserver_compact(&world.server);
	fake_apiserver_clear(&world.server);
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.listeds, 2);
	assert_true(kube_world_metric(&world, RESTARTS "\"gone\"}") == 1);
	assert_true(kube_world_metric(&world, RELISTS) == 1);
	assert_true(kube_world_wait(&world, is_live));
	assert_string_equal(world.why, "");
}

static void storms_of_410_end_in_the_same_picture(void **state)
{
	(void)state;
	fake_apiserver_fault(
		&world.server,
		&(struct fake_fault){ .match = "watch=1", .count = 10, .status = 410 });
	fake_apiserver_fault(
		&world.server,
		&(struct fake_fault){ .match = "continue=", .count = 3, .status = 410 });
	start();
	kube_world_put(&world, "b", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.listeds, 11);
	assert_true(kube_world_metric(&world, RESTARTS "\"gone\"}") == 10);
}

static void a_token_that_expires_leads_to_a_list_in_one_piece(void **state)
{
	(void)state;
	fake_apiserver_fault(
		&world.server,
		&(struct fake_fault){ .match = "continue=", .count = 1, .status = 410 });
	start();
	assert_int_equal(world.listings, 2);
	/* first page, the expired one, all at once */
	assert_int_equal(fake_apiserver_requests(&world.server, "/pods"), 4);
	assert_int_equal(fake_apiserver_requests(&world.server, "limit=3"), 2);
}

/* ---- what is no event, or no object ---------------------------------------------------------- */

static void say(const char *text)
{
	assert_int_equal(fake_apiserver_say(&world.server, "/pods", text, strlen(text)), 1);
}

static void garbage_starts_the_watch_again_and_twice_in_a_row_the_list(void **state)
{
	(void)state;
	start();
	say("garbage\n");
	assert_true(fake_apiserver_wait_requests(&world.server, "watch=1", 2));
	assert_true(fake_apiserver_wait_watches(&world.server, "/pods", 1));
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.listeds, 1);
	assert_true(kube_world_metric(&world, RESTARTS "\"garbage\"}") == 1);
	/* a whole answer of something else */
	fake_apiserver_fault(&world.server, &(struct fake_fault){ .match = "watch=1",
	                                                          .count = 2,
	                                                          .body = "<html>\n</html>\n" });
	assert_int_equal(fake_apiserver_cut(&world.server, "/pods"), 1);
	assert_true(kube_world_wait_metric(&world, RELISTS, 1));
	assert_true(kube_world_wait_same(&world));
	assert_true(kube_world_metric(&world, RESTARTS "\"garbage\"}") == 3);
}

static void an_unknown_event_or_member_is_nothing_to_us(void **state)
{
	(void)state;
	start();
	say("{\"type\":\"CHECKPOINT\",\"object\":{},\"more\":[1,{\"a\":null}]}\n\n");
	say("{\"object\":{\"metadata\":{\"resourceVersion\":\"1007\",\"annotations\":{"
	    "\"k8s.io/initial-events-end\":\"true\"}}},\"type\":\"BOOKMARK\"}\n");
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.losses, 0);
	assert_int_equal(fake_apiserver_requests(&world.server, "watch=1"), 1);
}

static bool was_added(struct kube_world *w)
{
	return w->told[KM_KUBE_ADDED] > 0;
}

static void objects_that_are_too_large_are_left_out_and_counted(void **state)
{
	char *json = malloc(KM_KUBE_OBJECT_MAX_BYTES + 200);
	size_t len;

	(void)state;
	assert_non_null(json);
	len = (size_t)sprintf(json,
	                      "{\"metadata\":{\"namespace\":\"a\",\"name\":\"big\"},\"x\":\"");
	memset(json + len, 'x', KM_KUBE_OBJECT_MAX_BYTES);
	memcpy(json + len + KM_KUBE_OBJECT_MAX_BYTES, "\"}", sizeof("\"}"));
	fake_apiserver_put(&world.server, "/api/v1/pods", json);
	kube_world_run(&world);
	assert_true(fake_apiserver_wait_watches(&world.server, "/pods", 1));
	assert_true(kube_world_wait_metric(&world, SKIPPED, 1));
	fake_apiserver_put(&world.server, "/api/v1/pods", json); /* and as an event */
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait(&world, was_added));
	assert_true(fake_apiserver_delete(&world.server, "/api/v1/pods", "a", "big"));
	free(json);
	/* a third time: its deletion tells of all of it */
	assert_true(kube_world_wait_metric(&world, SKIPPED, 3));
	assert_true(kube_world_wait_same(&world));
}

static bool listed_twice(struct kube_world *w)
{
	return w->listeds == 2;
}

static void what_the_owner_cannot_take_is_counted_or_listed_again(void **state)
{
	(void)state;
	world.object_rc[0] = -EINVAL;
	world.object_rcs = 1;
	kube_world_run(&world);
	assert_true(kube_world_wait_metric(&world, SKIPPED, 1));
	assert_true(fake_apiserver_wait_watches(&world.server, "/pods", 1));
	(void)pthread_mutex_lock(&world.lock);
	world.object_rc[0] = -ENOMEM; /* of the event */
	world.object_rc[1] = -ENOMEM;
	world.object_rcs = 2;
	(void)pthread_mutex_unlock(&world.lock);
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait(&world, listed_twice));
	assert_true(kube_world_wait_same(&world));
	assert_true(kube_world_metric(&world, RESTARTS "\"memory\"}") == 1);
	assert_int_equal(world.listings, 3);
}

/* ---- how it comes ---------------------------------------------------------------------------- */

static void bytes_one_by_one_and_compressed_make_no_difference(void **state)
{
	(void)state;
	fake_apiserver_pieces(&world.server, 1);
	fake_apiserver_gzip(&world.server, true);
	start();
	kube_world_put(&world, "a", "new");
	kube_world_put(&world, "a", "pod-1");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.losses, 0);
}

static void a_compressed_list_cut_short_is_made_again(void **state)
{
	(void)state;
	fake_apiserver_gzip(&world.server, true);
	for (size_t cut = 1; cut < 120; cut += 17) {
		fake_apiserver_fault(&world.server, &(struct fake_fault){ .match = "limit=3",
		                                                          .count = 1,
		                                                          .cut = true,
		                                                          .cut_after = cut });
	}
	start();
	assert_int_equal(world.listeds, 1);
}

static void silence_is_taken_for_a_dead_stream(void **state)
{
	(void)state;
	world.options.silence_ns = 20 * KM_NS_PER_MS;
	kube_world_run(&world);
	assert_true(kube_world_wait_metric(&world, RESTARTS "\"silence\"}", 3));
	kube_world_put(&world, "a", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.listeds, 1);
	/* another one takes its place, and stands: nothing was lost */
	assert_int_equal(world.losses, 0);
	/* until it does not */
	fake_apiserver_fault(&world.server,
	                     &(struct fake_fault){ .match = "watch=1", .no_answer = true });
	assert_true(kube_world_wait(&world, is_lost));
}

static void refusals_are_waited_out(void **state)
{
	static const int statuses[] = { 429, 503, 401, 403, 500, 504 };

	(void)state;
	start();
	for (size_t i = 0; i < KM_ARRAY_LEN(statuses); i++) {
		fake_apiserver_fault(&world.server, &(struct fake_fault){ .match = "/pods",
		                                                          .count = 2,
		                                                          .status = statuses[i] });
		assert_int_equal(fake_apiserver_cut(&world.server, "/pods"), 1);
		assert_true(fake_apiserver_wait_watches(&world.server, "/pods", 1));
		kube_world_put(&world, "a", "new");
		assert_true(kube_world_wait_same(&world));
	}
	/* only what says nothing of who we are or how busy it is costs the version */
	assert_int_equal(world.listeds, 3);
	assert_true(kube_world_metric(
			    &world, "kubemarla_kube_requests_total{verb=\"watch\",code=\"429\"}") ==
	            2);
}

static bool says_401(struct kube_world *w)
{
	return strstr(w->why, "401 Unauthorized") != NULL;
}

static void who_is_not_let_in_says_so_until_he_is(void **state)
{
	(void)state;
	fake_apiserver_token(&world.server, "another");
	kube_world_run(&world);
	assert_true(kube_world_wait(&world, says_401));
	assert_false(world.live);
	fake_apiserver_token(&world.server, "none");
	assert_true(kube_world_wait_same(&world));
	assert_true(kube_world_wait(&world, is_live));
}

static void a_server_that_comes_back_finds_us_there(void **state)
{
	int port = world.server.port;

	(void)state;
	start();
	fake_apiserver_stop(&world.server);
	assert_true(kube_world_wait(&world, is_lost));
	assert_true(kube_world_wait_metric(
		&world, "kubemarla_kube_requests_total{verb=\"watch\",code=\"none\"}", 2));
	fake_apiserver_start_at(&world.server, port);
	fake_apiserver_compact(&world.server); /* its past is another one */
	for (int i = 0; i < 10; i++)
		fake_apiserver_compact(&world.server);
	kube_world_put(&world, "c", "new");
	assert_true(kube_world_wait_same(&world));
	assert_int_equal(world.count, 1);
}

static void one_trouble_is_told_once(void **state)
{
	(void)state;
	start();
	fake_apiserver_stop(&world.server);
	assert_true(kube_world_wait_metric(
		&world, "kubemarla_kube_requests_total{verb=\"watch\",code=\"none\"}", 10));
	kube_world_stop(&world);
	/* how the stream broke, and that nobody listens */
	assert_true(world.losses <= 3);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void it_can_be_stopped_wherever_it_is(void **state)
{
	static const struct fake_fault rows[] = {
		{ .match = "limit=3", .hang = true, .cut_after = 0 },   /* nothing said */
		{ .match = "limit=3", .hang = true, .cut_after = 50 },  /* half a list */
		{ .match = "continue=", .hang = true, .cut_after = 9 }, /* of the second page */
		{ .match = "watch=1", .hang = true, .body = "" },       /* a watch */
		{ .match = "limit=3",
		  .status = 429,
		  .headers = "Retry-After: 60\r\n" }, /* waiting to be let in */
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		if (i > 0)
			kube_world_init(&world);
		kube_world_put(&world, "a", "a");
		kube_world_put(&world, "a", "b");
		kube_world_put(&world, "a", "c");
		kube_world_put(&world, "a", "d");
		fake_apiserver_fault(&world.server, &rows[i]);
		kube_world_run(&world);
		assert_true(fake_apiserver_wait_requests(&world.server, rows[i].match, 1));
		kube_world_stop(&world);
		if (i + 1 < KM_ARRAY_LEN(rows))
			kube_world_fini(&world);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_list_comes_in_pages_and_a_watch_goes_on_from_it),
		TEST(selectors_are_escaped),
		TEST(a_watch_that_ends_in_order_goes_on_from_its_bookmark),
		TEST(a_broken_stream_goes_on_where_it_was),
		TEST(a_list_cut_anywhere_is_made_again),
		TEST(a_page_that_is_refused_is_asked_again),
		TEST(what_went_during_an_outage_goes_with_the_next_list),
		TEST(storms_of_410_end_in_the_same_picture),
		TEST(a_token_that_expires_leads_to_a_list_in_one_piece),
		TEST(garbage_starts_the_watch_again_and_twice_in_a_row_the_list),
		TEST(an_unknown_event_or_member_is_nothing_to_us),
		TEST(objects_that_are_too_large_are_left_out_and_counted),
		TEST(what_the_owner_cannot_take_is_counted_or_listed_again),
		TEST(bytes_one_by_one_and_compressed_make_no_difference),
		TEST(a_compressed_list_cut_short_is_made_again),
		TEST(silence_is_taken_for_a_dead_stream),
		TEST(refusals_are_waited_out),
		TEST(who_is_not_let_in_says_so_until_he_is),
		TEST(a_server_that_comes_back_finds_us_there),
		TEST(one_trouble_is_told_once),
		TEST(it_can_be_stopped_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
