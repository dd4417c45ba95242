/* SPDX-License-Identifier: Apache-2.0 */
/* plan: the schedule of a trial is fair to arms and nodes, and follows from the seed alone. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "km/base/macros.h"
#include "km/plan/schedule.h"

#define TWO "name: t\nnodes: [{name: a, cpus: 0}, {name: b, cpus: 1}]\n"
#define FOUR                                                                                       \
	"name: t\nnodes: [{name: a, cpus: 0}, {name: b, cpus: 1}, {name: c, cpus: 2}, "            \
	"{name: d, cpus: 3}]\n"
#define TRIAL "trial: {repeats: 6, episodes: 8, stressors: [cpu, l3], levels: [50, 100]}\n"

static struct km_plan *plan_of(const char *text)
{
	struct km_err err = { .code = 0 };
	struct km_plan *p = NULL;

	if (km_plan_parse("p.yaml", text, strlen(text), &p, &err) != 0)
		fail_msg("%s", err.text);
	return p;
}

static void every_node_is_quiet_equally_often(void **state)
{
	unsigned quiet[2] = { 0 };
	unsigned kinds[2][101] = { { 0 } };
	struct km_plan *p = plan_of(TWO TRIAL);

	(void)state;
	p->trial.quiet_share = 1;
	for (unsigned r = 1; r <= 6; r++) {
		for (unsigned e = 1; e <= 8; e++) {
			struct km_episode at;
			const struct km_episode_node *n;

			km_plan_episode(p, r, e, &at);
			assert_int_equal(at.node[0].stressed + at.node[1].stressed, 1);
			quiet[at.node[0].stressed ? 1 : 0]++;
			n = &at.node[at.node[0].stressed ? 0 : 1];
			kinds[n->kind == KM_STRESS_L3][n->level_pct]++;
		}
	}
	assert_true(quiet[0] == 24 && quiet[1] == 24);
	for (int k = 0; k < 2; k++)
		assert_true(kinds[k][50] == 12 && kinds[k][100] == 12);
	km_plan_free(p);
}

static void one_node_is_quiet_and_one_is_not(void **state)
{
	unsigned stressed[5] = { 0 };
	struct km_plan *p = plan_of(FOUR TRIAL);

	(void)state;
	p->trial.quiet_share = 1;
	for (unsigned r = 1; r <= 6; r++) {
		for (unsigned e = 1; e <= 8; e++) {
			struct km_episode at;
			unsigned count = 0;

			km_plan_episode(p, r, e, &at);
			for (size_t i = 0; i < 4; i++)
				count += at.node[i].stressed;
			assert_in_range(count, 1, 3);
			stressed[count]++;
		}
	}
	assert_true(stressed[1] > 0 && stressed[2] > 0 && stressed[3] > 0);
	km_plan_free(p);
}

/* By default every other episode has all nodes stressed, by different kinds or levels. */
static void half_of_the_episodes_leave_no_node_quiet(void **state)
{
	unsigned quiet[2] = { 0 };
	unsigned levels[101] = { 0 };
	unsigned none = 0;
	struct km_plan *p = plan_of(TWO TRIAL);

	(void)state;
	for (unsigned r = 1; r <= 6; r++) {
		for (unsigned e = 1; e <= 8; e++) {
			struct km_episode at;

			km_plan_episode(p, r, e, &at);
			assert_true(at.node[0].stressed || at.node[1].stressed);
			if (!at.node[0].stressed || !at.node[1].stressed) {
				quiet[at.node[0].stressed ? 1 : 0]++;
				continue;
			}
			none++;
			assert_true(at.node[0].kind != at.node[1].kind ||
			            at.node[0].level_pct != at.node[1].level_pct);
			for (int i = 0; i < 2; i++)
				levels[at.node[i].level_pct]++;
		}
	}
	assert_int_equal(none, 24);
	assert_true(quiet[0] == 12 && quiet[1] == 12);
	assert_true(levels[50] > 12 && levels[100] > 12);
	/* with one kind at one level a quiet node is the only difference there can be */
	p->trial.stressor_count = 1;
	p->trial.level_count = 1;
	for (unsigned e = 1; e <= 8; e++) {
		struct km_episode at;

		km_plan_episode(p, 1, e, &at);
		assert_int_equal(at.node[0].stressed + at.node[1].stressed, 1);
	}
	km_plan_free(p);
}

/* Each repeat has each arm in each episode once, each node alone once, and episodes in one piece.
 */
static void plays_are_complete_and_interleaved(void **state)
{
	struct km_plan *p = plan_of(TWO TRIAL);
	unsigned first_arm[KM_PLAN_ARM_N] = { 0 };
	unsigned seen[7][9] = { { 0 } };
	unsigned alone[7][2] = { { 0 } };
	struct km_play *play;
	size_t count;

	(void)state;
	assert_int_equal(km_plan_trial_check(p, NULL), 0);
	assert_int_equal(km_plan_plays(p, &play, &count), 0);
	assert_int_equal(count, 6 * (8 * 4 + 2));
	for (size_t i = 0; i < count; i++) {
		const struct km_play *a = &play[i];

		assert_int_equal(a->repeat, i / 34 + 1);
		assert_int_equal(a->order, i % 34 + 1);
		if (a->episode == 0) {
			alone[a->repeat][a->node]++;
			continue;
		}
		if (seen[a->repeat][a->episode] == 0)
			first_arm[a->arm]++;
		else
			assert_int_equal(play[i - 1].episode, a->episode);
		seen[a->repeat][a->episode] |= 1u << a->arm;
	}
	for (unsigned r = 1; r <= 6; r++) {
		assert_true(alone[r][0] == 1 && alone[r][1] == 1);
		for (unsigned e = 1; e <= 8; e++)
			assert_int_equal(seen[r][e], 15);
	}
	for (int a = 0; a < KM_PLAN_ARM_N; a++)
		assert_in_range(first_arm[a], 4, 22); /* 12 of 48 */
	free(play);
	km_plan_free(p);
}

static void more_repeats_append(void **state)
{
	struct km_plan *p = plan_of(TWO "trial: {repeats: 2, stressors: [cpu], levels: [50]}\n");
	struct km_plan *q = plan_of(TWO "trial: {repeats: 4, stressors: [cpu], levels: [50]}\n");
	struct km_plan *s =
		plan_of(TWO "seed: 2\ntrial: {repeats: 4, stressors: [cpu], levels: [50]}\n");
	struct km_play *few;
	struct km_play *more;
	struct km_play *other;
	size_t few_count;
	size_t more_count;

	(void)state;
	assert_int_equal(km_plan_plays(p, &few, &few_count), 0);
	assert_int_equal(km_plan_plays(q, &more, &more_count), 0);
	assert_int_equal(km_plan_plays(s, &other, &more_count), 0);
	assert_true(more_count == 2 * few_count);
	for (size_t i = 0; i < few_count; i++) {
		assert_true(few[i].episode == more[i].episode && few[i].arm == more[i].arm);
		assert_true(few[i].node == more[i].node);
	}
	assert_memory_not_equal(more, other, more_count * sizeof(*more));
	assert_true(km_plan_trial_hash(p) == km_plan_trial_hash(q));
	assert_true(km_plan_trial_hash(s) != km_plan_trial_hash(q));
	assert_true(km_plan_trial_hash(q) != 0);
	free(few);
	free(more);
	free(other);
	km_plan_free(p);
	km_plan_free(q);
	km_plan_free(s);
}

static void luck_is_of_the_play_alone(void **state)
{
	struct km_plan *p = plan_of(TWO TRIAL);
	struct km_play play = { .repeat = 1, .episode = 2, .order = 5 };
	struct km_rng rng[3];

	(void)state;
	km_plan_luck(p, &play, &rng[0]);
	play.order = 9; /* when it is played changes nothing */
	km_plan_luck(p, &play, &rng[1]);
	play.episode = 3;
	km_plan_luck(p, &play, &rng[2]);
	assert_memory_equal(&rng[0], &rng[1], sizeof(rng[0]));
	assert_memory_not_equal(&rng[0], &rng[2], sizeof(rng[0]));
	km_plan_free(p);
}

static void what_is_no_trial_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{ "name: t\nnodes: [{name: a, cpus: 0}]\n"
		  "trial: {stressors: [cpu], levels: [50]}\n",
		  "saw one node" },
		{ TWO "trial: {stressors: [cpu], levels: [50], arms: [random]}\n",
		  "trial.arms: saw one" },
		{ TWO "trial: {stressors: [cpu], levels: [50], repeats: 1000, episodes: 1000}\n",
		  "want 10000 at most" },
	};

	(void)state;
	for (size_t i = 0; i < KM_ARRAY_LEN(rows); i++) {
		struct km_plan *p = plan_of(rows[i].text);
		struct km_err err = { .code = 0 };

		assert_int_equal(km_plan_trial_check(p, &err), -EINVAL);
		assert_non_null(strstr(err.text, rows[i].why));
		km_plan_free(p);
	}
}

static void a_play_takes_as_long_as_its_parts(void **state)
{
	struct km_plan *p = plan_of(TWO "times: {warmUp: 1s, settle: 2s, coolDown: 3s}\n"
	                                "trial: {stressors: [cpu], levels: [50], during: 5s}\n");

	(void)state;
	assert_true(fabs(km_plan_play_seconds(p, 8) - (2 + 2 + 5 + 3 + 8)) < 1e-9);
	km_plan_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_node_is_quiet_equally_often),
		cmocka_unit_test(one_node_is_quiet_and_one_is_not),
		cmocka_unit_test(half_of_the_episodes_leave_no_node_quiet),
		cmocka_unit_test(plays_are_complete_and_interleaved),
		cmocka_unit_test(more_repeats_append),
		cmocka_unit_test(luck_is_of_the_play_alone),
		cmocka_unit_test(what_is_no_trial_is_refused),
		cmocka_unit_test(a_play_takes_as_long_as_its_parts),
	};

	return cmocka_run_group_tests_name("plan_schedule", tests, NULL, NULL);
}
