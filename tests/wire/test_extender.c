/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /filter and /prioritize on the wire: every way of naming nodes and of describing a pod that the
 * extender protocol's conformance table lists, with the whole answers. The scores are the formula's
 * (design.md, section 7) for what the fixed test model predicts: 1.04, 1.46 and 2.41 for the
 * default workload, which tolerates 2. Unknown nodes get the middle, or the lower median of the
 * known ones where that is less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"

#include "support/extender_case.h"

#define PASS(names)                                                                                \
	"{\"Nodes\":null,\"NodeNames\":[" names "],\"FailedNodes\":{},"                            \
	"\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}"
#define PASS_NODES(items)                                                                          \
	"{\"Nodes\":{\"metadata\":{},\"items\":[" items "]},\"NodeNames\":null,"                   \
	"\"FailedNodes\":{},\"FailedAndUnresolvableNodes\":{},\"Error\":\"\"}"
#define HOST(name, score) "{\"Host\":" name ",\"Score\":" score "}"

#define POD               "\"Pod\":{\"metadata\":{\"name\":\"p\",\"namespace\":\"d\",\"uid\":\"u\"}}"

/* The three that have counters, for the default workload. */
#define THREE      "\"quiet\",\"some\",\"noisy\""
#define THREE_PASS PASS(THREE)
#define THREE_SCORED                                                                               \
	"[" HOST("\"quiet\"", "10") "," HOST("\"some\"", "6") "," HOST("\"noisy\"", "2") "]"

static struct daemon the_daemon;

static int set_up(void **state)
{
	daemon_init(&the_daemon);
	extender_start(&the_daemon,
	               EXTENDER_NODES EXTENDER_MODEL "decide: {maxAge: 1h, ledger: off}\n");
	*state = &the_daemon;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	wire_stop(&the_daemon);
	return 0;
}

static void names_are_taken_in_every_spelling(void **state)
{
	static const struct extender_case cases[] = {
		{ "Nodes null, names given", "{" POD ",\"Nodes\":null,\"NodeNames\":[" THREE "]}",
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "lower-case keys",
		  "{\"pod\":{\"metadata\":{\"name\":\"p\"}},\"nodes\":null,\"nodenames\":[" THREE
		  "]}",
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "camelCase keys, as in old documents", "{\"nodeNames\":[" THREE "]}",
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "unknown keys",
		  "{\"Cluster\":{\"NodeNames\":[\"x\"]}," POD ",\"Extra\":[1,{\"a\":null}],"
		  "\"Nodes\":null,\"NodeNames\":[" THREE "],\"ZZ\":1.5e-3}",
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "both given and different: names win",
		  "{" POD ",\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"blind\"}}]},"
		  "\"NodeNames\":[" THREE "]}",
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "doubled keys: the last wins",
		  "{" POD ",\"NodeNames\":[\"x\"],\"nodenames\":[" THREE "]}", .filter = THREE_PASS,
		  .prioritize = THREE_SCORED },
		{ "a key with escapes", "{\"Node\\u004eames\":[" THREE "]}", .filter = THREE_PASS,
		  .prioritize = THREE_SCORED },
		{ "white space everywhere",
		  " \r\n\t{ \"Pod\" :\nnull ,\t\"NodeNames\" : [ \"quiet\" , \"some\" ,\r\n"
		  "\"noisy\" ] } \n",
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "bytes behind the value, which Go does not read",
		  "{\"NodeNames\":[" THREE "]}}]garbage\xff", .filter = THREE_PASS,
		  .prioritize = THREE_SCORED },
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

static void whole_nodes_come_back_as_they_came(void **state)
{
#define NODE_A "{\"metadata\":{\"name\":\"quiet\",\"labels\":{\"a\":\"b\"}},\"spec\":{\"x\": 1}}"
#define NODE_B "{\"kind\":\"Node\",\"metadata\":{\"uid\":\"1\",\"name\":\"noisy\"}}"
	static const struct extender_case cases[] = {
		{ "NodeNames null, full Nodes given",
		  "{" POD ",\"Nodes\":{\"metadata\":{},\"items\":[" NODE_A "," NODE_B "]},"
		  "\"NodeNames\":null}",
		  .filter = PASS_NODES(NODE_A "," NODE_B),
		  .prioritize = "[" HOST("\"quiet\"", "10") "," HOST("\"noisy\"", "2") "]" },
		{ "names null behind names",
		  "{\"NodeNames\":[\"x\"],\"NodeNames\":null,\"Nodes\":{"
		  "\"items\":[" NODE_B "]}}",
		  .filter = PASS_NODES(NODE_B), .prioritize = "[" HOST("\"noisy\"", "2") "]" },
		{ "a Node without a name has the empty one",
		  "{\"Nodes\":{\"items\":[{\"metadata\":{}}]}}",
		  .filter = PASS_NODES("{\"metadata\":{}}"),
		  .prioritize = "[" HOST("\"\"", "5") "]" },
		{ "an empty list of Nodes", "{\"Nodes\":{\"items\":[]},\"NodeNames\":null}",
		  .filter = PASS_NODES(""), .prioritize = "[]" },
		{ "items null", "{\"Nodes\":{\"items\":null}}", .filter = PASS_NODES(""),
		  .prioritize = "[]" },
		{ .name = NULL },
	};
	struct daemon *d = *state;
	size_t requests = (KM_ARRAY_LEN(cases) - 1) * 2;
	struct wire_answer a;
	const char *first;

	extender_check_all(d, cases);
	/* Something else to wait for: what was said before it has been read then. */
	wire_answer_init(&a);
	wire_call(d, "POST", "/filter", "", "x", 1, &a);
	wire_answer_fini(&a);
	assert_true(daemon_wait_log(d, 0, "refused a body path=/filter"));
	/* Said once, counted every time. */
	first = strstr(d->text, "requests carry whole Node objects");
	assert_non_null(first);
	assert_null(strstr(first + 1, "requests carry whole Node objects"));
	assert_true(wire_metric(d, "kubemarla_extender_nodes_form_total") == (double)requests);
}

static void nothing_to_judge_is_an_empty_list(void **state)
{
	static const struct extender_case cases[] = {
		{ "both null", "{" POD ",\"Nodes\":null,\"NodeNames\":null}", .filter = PASS(""),
		  .prioritize = "[]" },
		{ "both absent", "{}", .filter = PASS(""), .prioritize = "[]" },
		{ "empty list", "{" POD ",\"Nodes\":null,\"NodeNames\":[]}", .filter = PASS(""),
		  .prioritize = "[]" },
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

static void any_name_is_echoed_as_it_came(void **state)
{
#define ECHOED(what, names, ...)                                                                   \
	{                                                                                          \
		what, "{" POD ",\"Nodes\":null,\"NodeNames\":[" names "]}",                        \
			.filter = PASS(names), .prioritize = "[" __VA_ARGS__ "]"                   \
	}
	static const struct extender_case cases[] = {
		ECHOED("one name", "\"some\"", HOST("\"some\"", "6")),
		ECHOED("two names", "\"noisy\",\"quiet\"",
		       HOST("\"noisy\"", "2") "," HOST("\"quiet\"", "10")),
		ECHOED("a name unknown to us", "\"ghost\"", HOST("\"ghost\"", "5")),
		ECHOED("a node without counters", "\"blind\"", HOST("\"blind\"", "5")),
		ECHOED("unknown beside good ones", "\"ghost\",\"quiet\"",
		       HOST("\"ghost\"", "5") "," HOST("\"quiet\"", "10")),
		ECHOED("unknown beside bad ones", "\"ghost\",\"noisy\",\"blind\"",
		       HOST("\"ghost\"", "2") "," HOST("\"noisy\"", "2") "," HOST("\"blind\"",
		                                                                  "2")),
		ECHOED("name with spaces", "\"node A\",\" quiet\"",
		       HOST("\"node A\"", "5") "," HOST("\" quiet\"", "5")),
		ECHOED("UTF-8 name",
		       "\"n\xc3\xb6"
		       "de\",\"\xe8\x8a\x82\xe7\x82\xb9\"",
		       HOST("\"n\xc3\xb6"
		            "de\"",
		            "5") "," HOST("\"\xe8\x8a\x82\xe7\x82\xb9\"", "5")),
		ECHOED("empty-string name", "\"\"", HOST("\"\"", "5")),
		ECHOED("escaped, and known all the same", "\"qu\\u0069et\"",
		       HOST("\"qu\\u0069et\"", "10")),
		ECHOED("what Go escapes", "\"a\\u003cb\\u003e\\u0026\",\"l\\u2028\",\"q\\\"\\\\\"",
		       HOST("\"a\\u003cb\\u003e\\u0026\"",
		            "5") "," HOST("\"l\\u2028\"", "5") "," HOST("\"q\\\"\\\\\"", "5")),
		ECHOED("names like our keys", "\"NodeNames\",\"Error\",\"Pod\"",
		       HOST("\"NodeNames\"", "5") "," HOST("\"Error\"", "5") "," HOST("\"Pod\"",
		                                                                      "5")),
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

static void doubled_names_are_one_host(void **state)
{
	static const struct extender_case cases[] = {
		{ "the same three times", "{\"NodeNames\":[\"some\",\"quiet\",\"some\",\"some\"]}",
		  .filter = PASS("\"some\",\"quiet\""),
		  .prioritize = "[" HOST("\"some\"", "6") "," HOST("\"quiet\"", "10") "]" },
		{ "once with an escape", "{\"NodeNames\":[\"some\",\"s\\u006fme\"]}",
		  .filter = PASS("\"some\""), .prioritize = "[" HOST("\"some\"", "6") "]" },
		{ "whole Nodes",
		  "{\"Nodes\":{\"items\":[{\"metadata\":{\"name\":\"some\"}},"
		  "{\"metadata\":{\"name\":\"some\"}}]}}",
		  .filter = PASS_NODES("{\"metadata\":{\"name\":\"some\"}}"),
		  .prioritize = "[" HOST("\"some\"", "6") "]" },
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

static void many_names_are_all_answered(void **state)
{
	enum { COUNT = 5000 };
	struct km_buf body;
	struct km_buf names;
	struct km_buf filter;
	struct km_buf scores;
	struct extender_case c = { .name = "5,000 names" };

	km_buf_init(&body);
	km_buf_init(&names);
	km_buf_init(&filter);
	km_buf_init(&scores);
	km_buf_str(&scores, "[");
	for (int i = 0; i < COUNT; i++) {
		static const struct {
			const char *name;
			int score;
		} known[] = { { "quiet", 10 }, { "some", 6 }, { "noisy", 2 } };
		/* Three of them somewhere between. */
		int k = i == 17 ? 0 : i == 2500 ? 1 : i == COUNT - 1 ? 2 : -1;
		char name[32];

		(void)snprintf(name, sizeof(name), "\"node-%d\"", i);
		if (k >= 0)
			(void)snprintf(name, sizeof(name), "\"%s\"", known[k].name);
		km_buf_printf(&names, "%s%s", i > 0 ? "," : "", name);
		km_buf_printf(&scores, "%s{\"Host\":%s,\"Score\":%d}", i > 0 ? "," : "", name,
		              k >= 0 ? known[k].score : 5);
	}
	km_buf_str(&scores, "]");
	km_buf_printf(&body, "{" POD ",\"Nodes\":null,\"NodeNames\":[%s]}", km_buf_cstr(&names));
	km_buf_printf(&filter, PASS("%s"), km_buf_cstr(&names));
	c.body = km_buf_cstr(&body);
	c.filter = km_buf_cstr(&filter);
	c.prioritize = km_buf_cstr(&scores);
	extender_check(*state, &c);
	km_buf_fini(&body);
	km_buf_fini(&names);
	km_buf_fini(&filter);
	km_buf_fini(&scores);
}

/* Whatever a pod looks like, it is judged; what it does not say is the default workload's. */
static void any_pod_is_judged(void **state)
{
#define WITH(pod) "{\"Pod\":" pod ",\"Nodes\":null,\"NodeNames\":[" THREE "]}"
#define REQUESTS(quantity)                                                                         \
	"{\"resources\":{\"requests\":{\"cpu\":" quantity ",\"memory\":" quantity "},"             \
	"\"limits\":{\"cpu\":" quantity "}}}"
#define DEFAULT(what, pod)                                                                         \
	{                                                                                          \
		what, WITH(pod), .filter = THREE_PASS, .prioritize = THREE_SCORED                  \
	}
	static const struct extender_case cases[] = {
		DEFAULT("Pod null", "null"),
		{ "Pod absent", "{\"NodeNames\":[" THREE "]}", .filter = THREE_PASS,
		  .prioritize = THREE_SCORED },
		DEFAULT("an empty pod", "{}"),
		DEFAULT("labels absent",
		        "{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":null}}"),
		DEFAULT("labels null", "{\"metadata\":{\"labels\":null,\"annotations\":null}}"),
		DEFAULT("metadata null", "{\"metadata\":null,\"spec\":null,\"status\":null}"),
		DEFAULT("containers null", "{\"spec\":{\"containers\":null}}"),
		DEFAULT("initContainers only",
		        "{\"spec\":{\"initContainers\":[" REQUESTS("\"1\"") "]}}"),
		DEFAULT("quantities in every notation",
		        "{\"spec\":{\"containers\":[" REQUESTS("\"500m\"") "," REQUESTS("\"1Gi\"") "," REQUESTS("\"2\"") "," REQUESTS(
				"\"1e3\"") "," REQUESTS("\"0.5\"") "," REQUESTS("2") "," REQUESTS("0.5") "]}}"),
		DEFAULT("members of odd types",
		        "{\"metadata\":{\"name\":7,\"annotations\":[],\"uid\":{},\"namespace\":"
		        "true},\"spec\":3}"),
		DEFAULT("null in annotations",
		        "{\"metadata\":{\"annotations\":{\"kubemarla.io/rps\":null}}}"),
		{ .name = NULL },
	};

	extender_check_all(*state, cases);
}

static void annotations_describe_the_workload(void **state)
{
#define ANNOTATED(annotations) WITH("{\"metadata\":{\"annotations\":{" annotations "}}}")
	static const struct extender_case cases[] = {
		/* 1.37, 2.03 and 3.84 of 3 for 3,000 requests/s */
		{ "rps and max-slowdown",
		  ANNOTATED("\"kubemarla.io/rps\":\"3000\",\"kubemarla.io/max-slowdown\":\"3\""),
		  .filter = THREE_PASS,
		  .prioritize = "[" HOST("\"quiet\"", "8") "," HOST("\"some\"", "4") "," HOST(
			  "\"noisy\"", "2") "]" },
		/* Not below decide.minMaxSlowdown, 1.2: or one tenant could fence nodes off. */
		{ "a max-slowdown below the least",
		  ANNOTATED("\"kubemarla.io/max-slowdown\":\"1.05\""), .filter = THREE_PASS,
		  .prioritize = "[" HOST("\"quiet\"", "8") "," HOST("\"some\"", "1") "," HOST(
			  "\"noisy\"", "0") "]" },
		{ "unusable values are as none",
		  ANNOTATED("\"kubemarla.io/rps\":\"NaN\",\"kubemarla.io/max-slowdown\":\"-1\","
		            "\"kubemarla.io/class\":\"\""),
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ "infinite rps", ANNOTATED("\"kubemarla.io/rps\":\"inf\""), .filter = THREE_PASS,
		  .prioritize = THREE_SCORED },
		{ "rps of 1e300", ANNOTATED("\"kubemarla.io/rps\":\"1e300\""), .filter = THREE_PASS,
		  .prioritize = THREE_SCORED },
		{ "a number where a string belongs", ANNOTATED("\"kubemarla.io/rps\":3000"),
		  .filter = THREE_PASS, .prioritize = THREE_SCORED },
		{ .name = NULL },
	};
	static const char bad[] = "kubemarla_extender_bad_annotations_total";
	struct daemon *d = *state;
	double before = wire_metric(d, bad);

	extender_check_all(d, cases);
	assert_true(daemon_wait_log(d, 0, "ignored unusable kubemarla.io annotations"));
	/* Six in each of two requests. */
	assert_true(wire_metric(d, bad) - before == 12);
}

static void a_pod_of_2_mb_is_judged(void **state)
{
	enum { PAD = 2 << 20 };
	struct extender_case c = { .name = "pod of 2 MB",
		                   .filter = THREE_PASS,
		                   .prioritize = THREE_SCORED };
	char *pad = malloc(PAD + 1);
	struct km_buf body;

	assert_non_null(pad);
	memset(pad, 'y', PAD);
	pad[PAD] = '\0';
	km_buf_init(&body);
	km_buf_str(&body, "{\"Pod\":{\"metadata\":{\"annotations\":{\"x\":\"");
	km_buf_str(&body, pad);
	km_buf_str(&body, "\"}}},\"Nodes\":null,\"NodeNames\":[" THREE "]}");
	c.body = km_buf_cstr(&body);
	extender_check(*state, &c);
	km_buf_fini(&body);
	free(pad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_taken_in_every_spelling),
		cmocka_unit_test(whole_nodes_come_back_as_they_came),
		cmocka_unit_test(nothing_to_judge_is_an_empty_list),
		cmocka_unit_test(any_name_is_echoed_as_it_came),
		cmocka_unit_test(doubled_names_are_one_host),
		cmocka_unit_test(many_names_are_all_answered),
		cmocka_unit_test(any_pod_is_judged),
		cmocka_unit_test(annotations_describe_the_workload),
		cmocka_unit_test(a_pod_of_2_mb_is_judged),
	};

	return cmocka_run_group_tests_name("extender on the wire", tests, set_up, tear_down);
}
