/* SPDX-License-Identifier: Apache-2.0 */
/* core and config: policies from YAML, which of them holds for a pod, and what it asks for. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/config/policy_file.h"

#define HEAD "apiVersion: kubemarla.io/v1alpha1\nkind: InterferencePolicy\n"
#define ITEM "- apiVersion: kubemarla.io/v1alpha1\n  kind: InterferencePolicy\n"

static struct km_policies *parse(const char *text, const char *trusted)
{
	struct km_err err = { .code = 0 };
	struct km_policies *p = NULL;

	if (km_policy_file_parse("p.yaml", text, strlen(text), trusted, &p, &err) != 0)
		fail_msg("%s", err.text);
	return p;
}

static struct km_name name_of(const char *text)
{
	return (struct km_name){ text, (uint32_t)strlen(text) };
}

static struct km_pod pod_of(const char *namespace, const struct km_label *label, size_t count)
{
	struct km_pod pod;

	km_pod_init(&pod);
	pod.namespace = name_of(namespace);
	pod.label = label;
	pod.label_count = count;
	return pod;
}

static void a_policy_is_read_in_the_shape_of_its_crd(void **state)
{
	struct km_policies *p = parse(HEAD "metadata:\n"
	                                   "  name: latency-slo\n"
	                                   "  namespace: shop\n"
	                                   "  uid: 1-2-3\n"
	                                   "  labels: {example.org/team: a}\n"
	                                   "spec:\n"
	                                   "  selector:\n"
	                                   "    matchLabels: {app: web}\n"
	                                   "    matchExpressions:\n"
	                                   "    - {key: tier, operator: NotIn, values: [dev]}\n"
	                                   "  mode: Enforce\n"
	                                   "  maxSlowdown: 1.5\n"
	                                   "  workload: {rps: 900, class: web}\n"
	                                   "  footprint: {activeCpus: 0.5, l3MissPerS: 1e6}\n"
	                                   "  onStale: Reject\n"
	                                   "  weight: 3\n"
	                                   "  kpi: {latencyQuery: q, baselineSeconds: 0.01}\n"
	                                   "  rebalance: {enabled: true}\n"
	                                   "status: {matchedPods: 7}\n",
	                              "other,shop");
	const struct km_policy *one;
	char path[KM_POLICY_PATH_MAX];

	(void)state;
	assert_int_equal(km_policies_count(p), 1);
	one = km_policies_at(p, 0);
	assert_string_equal(km_policy_path(one, path), "shop/latency-slo");
	assert_int_equal(one->mode, KM_MODE_ENFORCE);
	assert_true(one->max_slowdown == 1.5 && one->rps == 900 && one->weight == 3);
	assert_null(one->rps_query);
	assert_string_equal(one->kpi.latency_query, "q");
	assert_true(one->kpi.baseline_s == 0.01);
	assert_true(one->rebalance.enabled && one->rebalance.dry_run);
	assert_string_equal(one->class_name, "web");
	assert_true(one->on_stale_given && one->on_stale == KM_ON_STALE_REJECT);
	assert_int_equal(one->footprint_count, 2);
	assert_string_equal(one->footprint[0].quantity, "activeCpus");
	assert_true(one->footprint[1].per_s == 1e6);
	assert_int_equal(one->term_count, 2);
	assert_true(one->trusted);
	assert_ptr_equal(km_policies_find(p, km_policy_key("shop", "latency-slo")), one);
	assert_null(km_policies_find(p, km_policy_key("shop", "other")));
	km_policies_unref(p);
}

static void what_is_not_said_is_the_crds_default(void **state)
{
	struct km_policies *p = parse(HEAD "metadata: {name: a}\nspec: {selector: {}}\n", "shop");
	const struct km_policy *one = km_policies_at(p, 0);

	(void)state;
	assert_string_equal(one->namespace, "default");
	assert_int_equal(one->mode, KM_MODE_OBSERVE);
	assert_true(isnan(one->max_slowdown) && isnan(one->rps) && one->weight == 1);
	assert_false(one->on_stale_given);
	assert_false(one->trusted);
	km_policies_unref(p);
	assert_int_equal(km_policies_count(p = parse("# nothing yet\n", "")), 0);
	km_policies_unref(p);
	assert_int_equal(km_policies_count(p = parse("kind: List\nitems: []\n", "")), 0);
	km_policies_unref(p);
	p = parse(HEAD "metadata: {name: a, namespace: x}\nspec: {selector: {}}\n", "*");
	assert_true(km_policies_at(p, 0)->trusted);
	km_policies_unref(p);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "[1]", "p.yaml:1: the file: saw a list, want an InterferencePolicy" },
		{ "kind: InterferencePolicy", "apiVersion: saw nothing" },
		{ "apiVersion: v1\nkind: Pod", "p.yaml:1: apiVersion: saw v1, want kubemarla" },
		{ HEAD "spec: {}", "metadata.name: saw nothing" },
		{ HEAD "metadata: {name: A_b}\nspec: {}", "p.yaml:3: metadata.name: saw A_b" },
		{ HEAD "metadata: {name: a, namespace: a.b}\nspec: {}", "namespace: saw a.b" },
		{ HEAD "metadata: {name: a}", "spec: saw nothing" },
		{ HEAD "metadata: {name: a}\nspec: {mode: Prefer}", "spec.selector: saw nothing" },
		{ HEAD "metadata: {name: a}\nspec: {selector: []}", "spec.selector: saw a list" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, mode: Strict}",
		  "spec.mode: saw Strict, want one of Observe, Prefer, Enforce" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, maxSlowdown: 1}",
		  "spec.maxSlowdown: saw 1, want a number from 1.05 to 100" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, maxSlowdon: 2}",
		  "did you mean maxSlowdown" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, onStale: Maybe}",
		  "spec.onStale: saw Maybe" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, footprint: {cpu: 1}}",
		  "saw the key cpu" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, footprint: {activeCpus: -1}}",
		  "saw -1" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}, workload: {class: 'a b'}}",
		  "workload.class: saw \"a b\"" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {matchLabel: {}}}", "matchLabel" },
		{ HEAD "metadata: {name: a}\nspec:\n  selector:\n    matchExpressions:\n"
		       "    - {key: a, operator: Is}",
		  "operator: saw Is" },
		{ HEAD "metadata: {name: a}\nspec:\n  selector:\n    matchExpressions:\n"
		       "    - {key: a, operator: In}",
		  "saw In without values" },
		{ HEAD "metadata: {name: a}\nspec:\n  selector:\n    matchExpressions:\n"
		       "    - {key: a, operator: Exists, values: [b]}",
		  "saw Exists with values" },
		{ "items:\n" ITEM "  metadata: {name: a}\n  spec: {selector: {}}\n" ITEM
		  "  metadata: {name: a}\n  spec: {selector: {}}\n",
		  "policy default/a: saw it twice" },
		{ "items: {a: 1}", "items: saw a map" },
		{ HEAD "metadata: {name: a}\nspec: {selector: {}}\nstatsu: {}", "statsu" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_err err = { .code = 0 };
		struct km_policies *p = NULL;
		int rc = km_policy_file_parse("p.yaml", rows[i].text, strlen(rows[i].text), "", &p,
		                              &err);

		if ((rc != -EINVAL && rc != -EEXIST) || strstr(err.text, rows[i].want) == NULL)
			fail_msg("row %zu: %d \"%s\", want \"%s\"", i, rc, err.text, rows[i].want);
		assert_null(p);
	}
	assert_int_equal(
		km_policy_file_load("/nowhere/p.yaml", "", &(struct km_policies *){ 0 }, NULL),
		-ENOENT);
}

static void the_example_is_as_it_says(void **state)
{
	struct km_err err = { .code = 0 };
	struct km_policies *p = NULL;
	const struct km_policy *web;

	(void)state;
	if (km_policy_file_load("deploy/examples/policies.yaml", "shop", &p, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(km_policies_count(p), 2);
	web = km_policies_find(p, km_policy_key("shop", "web-latency"));
	assert_non_null(web);
	assert_true(web->trusted && web->rps == 3000 && web->weight == 2);
	web = km_policies_find(p, km_policy_key("shop", "reports"));
	assert_non_null(web);
	assert_int_equal(web->footprint_count, 3);
	km_policies_unref(p);
}

static void selectors_are_read_as_kubernetes_reads_them(void **state)
{
	static const struct {
		const char *selector;
		bool want;
		const char *why;
	} rows[] = {
		{ "{}", true, "an empty one is every pod" },
		{ "{matchLabels: {app: web}}", true, "the label is there" },
		{ "{matchLabels: {app: db}}", false, "with another value" },
		{ "{matchLabels: {app: web, tier: front}}", true, "both" },
		{ "{matchLabels: {app: web, zone: a}}", false, "one of two" },
		{ "{matchExpressions: [{key: app, operator: In, values: [db, web]}]}", true, "" },
		{ "{matchExpressions: [{key: app, operator: In, values: [we, webb]}]}", false, "" },
		{ "{matchExpressions: [{key: app, operator: NotIn, values: [web]}]}", false, "" },
		{ "{matchExpressions: [{key: app, operator: NotIn, values: [db]}]}", true, "" },
		{ "{matchExpressions: [{key: other, operator: NotIn, values: [x]}]}", true,
		  "NotIn holds without the label" },
		{ "{matchExpressions: [{key: other, operator: In, values: ['']}]}", false,
		  "no label is not an empty label" },
		{ "{matchExpressions: [{key: empty, operator: In, values: ['']}]}", true, "" },
		{ "{matchExpressions: [{key: app, operator: Exists}]}", true, "" },
		{ "{matchExpressions: [{key: other, operator: Exists}]}", false, "" },
		{ "{matchExpressions: [{key: app, operator: DoesNotExist}]}", false, "" },
		{ "{matchExpressions: [{key: other, operator: DoesNotExist}]}", true, "" },
	};
	const struct km_label label[] = { { name_of("app"), name_of("web") },
		                          { name_of("tier"), name_of("front") },
		                          { name_of("empty"), name_of("") } };
	struct km_pod pod = pod_of("default", label, 3);
	char text[512];

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_policies *p;

		(void)snprintf(text, sizeof(text),
		               HEAD "metadata: {name: a}\nspec: {selector: %s}\n",
		               rows[i].selector);
		p = parse(text, "");
		if (km_policy_matches(km_policies_at(p, 0), &pod) != rows[i].want)
			fail_msg("%s %s", rows[i].selector, rows[i].why);
		pod.namespace = name_of("elsewhere");
		assert_false(km_policy_matches(km_policies_at(p, 0), &pod));
		pod.namespace = name_of("default");
		km_policies_unref(p);
	}
}

static void the_most_specific_then_the_first_name_holds(void **state)
{
	struct km_policies *p =
		parse("kind: List\nitems:\n" ITEM "  metadata: {name: zz, namespace: n}\n"
	              "  spec: {selector: {matchLabels: {app: web, tier: a}}}\n" ITEM
	              "  metadata: {name: any, namespace: n}\n  spec: {selector: {}}\n" ITEM
	              "  metadata: {name: b, namespace: n}\n"
	              "  spec: {selector: {matchLabels: {app: web}}}\n" ITEM
	              "  metadata: {name: a, namespace: n}\n"
	              "  spec: {selector: {matchExpressions: [{key: app, operator: In, "
	              "values: [web]}]}}\n" ITEM "  metadata: {name: a, namespace: m}\n"
	              "  spec: {selector: {}}\n",
	              "");
	const struct km_label label[] = { { name_of("app"), name_of("web") },
		                          { name_of("tier"), name_of("a") } };
	struct km_pod pod = pod_of("n", label, 2);
	const struct km_policy *other;
	size_t pair[4][2];

	(void)state;
	assert_string_equal(km_policies_match(p, &pod, &other)->name, "zz");
	assert_string_equal(other->name, "a");
	pod.label_count = 1;
	assert_string_equal(km_policies_match(p, &pod, &other)->name, "a");
	assert_string_equal(other->name, "b");
	pod.label_count = 0;
	assert_string_equal(km_policies_match(p, &pod, &other)->name, "any");
	assert_null(other);
	assert_string_equal(km_policies_match(p, &pod, NULL)->name, "any");
	pod.namespace = name_of("m");
	assert_string_equal(km_policies_match(p, &pod, &other)->name, "a");
	pod.namespace = name_of("mm");
	assert_null(km_policies_match(p, &pod, &other));
	pod.namespace = name_of("");
	assert_null(km_policies_match(p, &pod, &other));
	assert_null(km_policies_match(NULL, &pod, &other));
	/* a and b say the same in other words */
	assert_int_equal(km_policies_conflicts(p, pair, 4), 1);
	assert_string_equal(km_policies_at(p, pair[0][0])->name, "a");
	assert_string_equal(km_policies_at(p, pair[0][1])->name, "b");
	km_policies_unref(p);
}

static void policy_then_annotations_then_default(void **state)
{
	const struct km_workload base = { .rps = 1000,
		                          .replicas = 2,
		                          .max_slowdown = 2,
		                          .mode = KM_MODE_PREFER,
		                          .on_stale = KM_ON_STALE_AVOID,
		                          .class_name = "any" };
	struct km_pod pod = pod_of("n", NULL, 0);
	struct km_workload w;
	struct km_policy p;

	(void)state;
	km_policy_workload(NULL, &pod, &base, 1.2, NAN, &w);
	assert_memory_equal(&w, &base, sizeof(w));
	pod.rps = 50;
	pod.max_slowdown = 3;
	pod.class_name = name_of("mine");
	km_policy_init(&p);
	km_policy_workload(&p, &pod, &base, 1.2, NAN, &w); /* it says nothing but its mode */
	assert_true(w.rps == 100 && w.max_slowdown == 3 && w.on_stale == KM_ON_STALE_AVOID);
	assert_string_equal(w.class_name, "mine");
	assert_int_equal(w.mode, KM_MODE_OBSERVE);
	p.mode = KM_MODE_ENFORCE;
	p.max_slowdown = 1.1;
	p.rps = 900;
	p.on_stale_given = true;
	p.on_stale = KM_ON_STALE_REJECT;
	memcpy(p.class_name, "ours", sizeof("ours"));
	km_policy_workload(&p, &pod, &base, 1.2, 9, &w);
	assert_true(w.rps == 200);          /* 900 over 9 pods, two of them here */
	assert_true(w.max_slowdown == 1.2); /* nobody may demand less */
	assert_string_equal(w.class_name, "ours");
	assert_int_equal(w.mode, KM_MODE_ENFORCE);
	assert_int_equal(w.on_stale, KM_ON_STALE_REJECT);
	km_policy_workload(&p, &pod, &base, 1.2, NAN, &w);
	assert_true(w.rps == 900); /* nobody knows of how many: all of it */
	km_policy_workload(&p, &pod, &base, 1.2, 0, &w);
	assert_true(w.rps == 900); /* its first pod */
	km_policy_fini(&p);
}

static void replicas_are_known_by_their_controller(void **state)
{
	const struct km_label hash[] = { { name_of("pod-template-hash"), name_of("5d9c") } };
	struct km_pod a = pod_of("n", hash, 1);
	struct km_pod b = pod_of("n", NULL, 0);

	(void)state;
	assert_true(km_pod_service(&a) == 0);
	a.owner_kind = b.owner_kind = name_of("ReplicaSet");
	a.owner_name = name_of("web-5d9c");
	b.owner_name = name_of("web");
	assert_true(km_pod_service(&a) != 0);
	assert_true(km_pod_service(&a) == km_pod_service(&b)); /* two roll-outs of one Deployment */
	b.owner_name = name_of("web-5d9c"); /* by that name, but nobody's template */
	assert_true(km_pod_service(&a) != km_pod_service(&b));
	a.owner_name = name_of("5d9c");
	assert_true(km_pod_service(&a) != 0);
	b = a;
	b.namespace = name_of("m");
	assert_true(km_pod_service(&a) != km_pod_service(&b));
	b = a;
	b.owner_kind = name_of("Job");
	assert_true(km_pod_service(&a) != km_pod_service(&b));
}

static void a_copy_is_all_of_it_and_its_own(void **state)
{
	struct km_policy p;
	struct km_policy copy;

	(void)state;
	km_policy_init(&p);
	(void)snprintf(p.namespace, sizeof(p.namespace), "shop");
	(void)snprintf(p.name, sizeof(p.name), "web");
	p.term = calloc(2, sizeof(*p.term));
	p.term_count = 2;
	p.term[0] = (struct km_selector_term){ .key = strdup("app"),
		                               .op = KM_SELECTOR_NOT_IN,
		                               .value_count = 2 };
	p.term[0].value = calloc(2, sizeof(char *));
	p.term[0].value[0] = strdup("a");
	p.term[0].value[1] = strdup("b");
	p.term[1] = (struct km_selector_term){ .key = strdup("x"), .op = KM_SELECTOR_EXISTS };
	p.rps_query = strdup("sum(rate(x[1m]))");
	p.kpi.latency_query = strdup("latency");
	p.max_slowdown = 1.5;
	p.trusted = true;
	assert_int_equal(km_policy_copy(&copy, &p), 0);
	km_policy_fini(&p);
	assert_string_equal(copy.name, "web");
	assert_int_equal(copy.term_count, 2);
	assert_string_equal(copy.term[0].key, "app");
	assert_int_equal(copy.term[0].op, KM_SELECTOR_NOT_IN);
	assert_int_equal(copy.term[0].value_count, 2);
	assert_string_equal(copy.term[0].value[1], "b");
	assert_string_equal(copy.term[1].key, "x");
	assert_int_equal(copy.term[1].value_count, 0);
	assert_string_equal(copy.rps_query, "sum(rate(x[1m]))");
	assert_string_equal(copy.kpi.latency_query, "latency");
	assert_null(copy.kpi.baseline_query);
	assert_true(copy.max_slowdown == 1.5 && copy.trusted);
	km_policy_fini(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_is_read_in_the_shape_of_its_crd),
		cmocka_unit_test(what_is_not_said_is_the_crds_default),
		cmocka_unit_test(what_is_wrong_is_named_with_its_line),
		cmocka_unit_test(the_example_is_as_it_says),
		cmocka_unit_test(selectors_are_read_as_kubernetes_reads_them),
		cmocka_unit_test(the_most_specific_then_the_first_name_holds),
		cmocka_unit_test(policy_then_annotations_then_default),
		cmocka_unit_test(replicas_are_known_by_their_controller),
		cmocka_unit_test(a_copy_is_all_of_it_and_its_own),
	};

	return cmocka_run_group_tests_name("core policy", tests, NULL, NULL);
}
