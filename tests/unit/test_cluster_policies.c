/* SPDX-License-Identifier: Apache-2.0 */
/* cluster: which policies hold when there are more than a daemon takes. */

#include "km/base/macros.h"

#include "cluster/view_internal.h"
#include "support/view_world.h"

static void set_policy_of(struct view_world *w, const char *namespace, int number)
{
	char name[16];
	const struct km_view_policy p = { .namespace = name_of(namespace),
		                          .name = { name, 5 },
		                          .uid = { name, 5 },
		                          .json = name_of("web"),
		                          .generation = 1 };

	(void)snprintf(name, sizeof(name), "p%04d", number);
	assert_int_equal(km_view_set_policy(w->view, &p), 0);
}

static bool holds(const struct view_world *w, const char *namespace, const char *name)
{
	return km_policies_find(w->view->feeder.policies, km_policy_key(namespace, name)) != NULL;
}

/* The same ones in every process, in whatever order it heard of them. */
static void policies_over_the_limit_are_the_last_by_trust_and_name(void **state)
{
	const struct km_view_namespace trusted = { .name = name_of("zoo"), .trusted = true };
	struct view_world w;

	(void)state;
	world_open(&w, NULL);
	for (int i = KM_POLICIES_MAX; i >= 0; i--)
		set_policy_of(&w, "shop", i);
	listed_all_but(&w, 0);
	wants(&w, "policies 1024\nlive 1\n");
	assert_true(holds(&w, "shop", "p0000"));
	assert_true(holds(&w, "shop", "p1023"));
	assert_false(holds(&w, "shop", "p1024"));
	set_policy_of(&w, "zoo", 1);
	assert_int_equal(km_view_set_namespace(w.view, &trusted), 0);
	wants(&w, "policies 1024\n");
	assert_true(holds(&w, "zoo", "p0001"));
	assert_true(holds(&w, "shop", "p1022"));
	assert_false(holds(&w, "shop", "p1023"));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_over_the_limit_are_the_last_by_trust_and_name),
	};

	return cmocka_run_group_tests_name("cluster policies", tests, NULL, NULL);
}
