/* SPDX-License-Identifier: Apache-2.0 */
/* Decks that are shuffled by seed, repeat and purpose, and nothing else. */
#include "km/plan/schedule.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/hash.h"

#define HASH_SEED UINT64_C(0x6b6d747269616c)

/* What a shuffle is for: no two of them draw the same luck. */
enum purpose { QUIET = 1, STRESS, OTHERS, ORDER, ARMS, CHOICE };

static void seeded(const struct km_plan *p, enum purpose purpose, uint64_t a, uint64_t b,
                   struct km_rng *out)
{
	const uint64_t key[] = { p->seed, (uint64_t)purpose, a, b };

	km_rng_init(out, km_hash64(key, sizeof(key), HASH_SEED));
}

static void shuffle(size_t *item, size_t count, struct km_rng *rng)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = km_rng_below(rng, (uint32_t)i);
		size_t swap = item[i - 1];

		item[i - 1] = item[j];
		item[j] = swap;
	}
}

/*
 * The card at a position of an endless row of shuffled decks [cards]: every card comes once in each
 * deck, whichever position is asked for first. cards <= DECK_MAX.
 */
#define DECK_MAX ((size_t)KM_STRESS_KIND_N * KM_PLAN_LIST_MAX)
_Static_assert(DECK_MAX >= KM_PLAN_NODES_MAX, "nodes are a deck too");

static size_t card_at(const struct km_plan *p, enum purpose purpose, uint64_t of, size_t position,
                      size_t cards)
{
	size_t deck[DECK_MAX];
	struct km_rng rng;

	assert(cards > 0 && cards <= DECK_MAX);
	for (size_t i = 0; i < cards; i++)
		deck[i] = i;
	seeded(p, purpose, of, position / cards, &rng);
	shuffle(deck, cards, &rng);
	return deck[position % cards];
}

int km_plan_trial_check(const struct km_plan *p, struct km_err *err)
{
	const struct km_plan_trial *t = &p->trial;
	double plays = (double)t->repeats *
	               ((double)t->episodes * (double)t->arm_count + (double)p->node_count);

	if (p->node_count < 2)
		return km_err_set(err, EINVAL, "trial: saw one node, want two to choose from");
	if (t->stressor_count == 0 || t->level_count == 0)
		return km_err_set(err, EINVAL,
		                  "trial: no stressors or no levels: no choice could matter");
	if (t->arm_count < 2)
		return km_err_set(err, EINVAL, "trial.arms: saw one, want two to compare");
	if (plays > KM_PLAN_PLAYS_MAX)
		return km_err_set(err, EINVAL, "trial: %.0f plays, want %d at most", plays,
		                  KM_PLAN_PLAYS_MAX);
	return 0;
}

/* How many of the first `count` episodes leave a node quiet; all, where there is one card only. */
static size_t quiet_ones(const struct km_plan_trial *t, size_t count)
{
	if (t->stressor_count * t->level_count < 2)
		return count;
	return (size_t)((double)count * t->quiet_share + 1e-9);
}

static bool all_alike(const struct km_plan *p, const struct km_episode *at)
{
	for (size_t i = 1; i < p->node_count; i++) {
		if (at->node[i].kind != at->node[0].kind ||
		    at->node[i].level_pct != at->node[0].level_pct)
			return false;
	}
	return true;
}

void km_plan_episode(const struct km_plan *p, unsigned repeat, unsigned number,
                     struct km_episode *out)
{
	const struct km_plan_trial *t = &p->trial;
	const size_t position = number == 0 ? 0 : ((size_t)repeat - 1) * t->episodes + number - 1;
	const size_t cards = t->stressor_count * t->level_count;
	const size_t before = quiet_ones(t, position);
	size_t slot = before * (p->node_count - 1) + (position - before) * p->node_count;
	size_t quiet = p->node_count; /* none */
	size_t surely;
	struct km_rng rng;

	memset(out, 0, sizeof(*out));
	out->repeat = repeat;
	out->number = number;
	if (number == 0)
		return;
	assert(cards > 0 && p->node_count > 1); /* km_plan_trial_check */
	seeded(p, OTHERS, repeat, number, &rng);
	if (quiet_ones(t, position + 1) > before) {
		quiet = card_at(p, QUIET, 0, before, p->node_count);
		surely = (quiet + 1 + km_rng_below(&rng, (uint32_t)p->node_count - 1)) %
		         p->node_count;
	} else {
		surely = p->node_count; /* all of them are */
	}
	for (size_t i = 0; i < p->node_count; i++) {
		struct km_episode_node *n = &out->node[i];
		size_t card;

		if (i == quiet)
			continue;
		card = card_at(p, STRESS, 0, slot++, cards);
		n->stressed = quiet == p->node_count || i == surely || km_rng_below(&rng, 2) == 1;
		n->kind = t->stressor[card / t->level_count];
		n->level_pct = t->level_pct[card % t->level_count];
	}
	if (quiet == p->node_count && all_alike(p, out)) {
		struct km_episode_node *n = &out->node[number % p->node_count];
		const size_t card = (card_at(p, STRESS, 0, slot - 1, cards) + 1) % cards;

		n->kind = t->stressor[card / t->level_count];
		n->level_pct = t->level_pct[card % t->level_count];
	}
}

/* One block of plays: an episode with all its arms, or a node alone. returns how many. */
static size_t add_block(const struct km_plan *p, unsigned repeat, size_t block, struct km_play *out)
{
	const struct km_plan_trial *t = &p->trial;
	size_t arm[KM_PLAN_ARM_N];
	struct km_rng rng;

	if (block >= t->episodes) {
		*out = (struct km_play){ .repeat = repeat, .node = block - t->episodes };
		return 1;
	}
	for (size_t a = 0; a < t->arm_count; a++)
		arm[a] = a;
	seeded(p, ARMS, repeat, block, &rng);
	shuffle(arm, t->arm_count, &rng);
	for (size_t a = 0; a < t->arm_count; a++) {
		out[a] = (struct km_play){
			.repeat = repeat,
			.episode = (unsigned)block + 1,
			.arm = t->arm[arm[a]],
		};
	}
	return t->arm_count;
}

int km_plan_plays(const struct km_plan *p, struct km_play **out, size_t *count)
{
	const struct km_plan_trial *t = &p->trial;
	size_t blocks = t->episodes + p->node_count;
	size_t each = t->episodes * t->arm_count + p->node_count;
	struct km_play *play = calloc(each * t->repeats, sizeof(*play));
	size_t *block = calloc(blocks, sizeof(*block));

	*out = play;
	*count = 0;
	if (play == NULL || block == NULL) {
		free(play);
		free(block);
		*out = NULL;
		return -ENOMEM;
	}
	for (unsigned repeat = 1; repeat <= t->repeats; repeat++) {
		size_t first = *count;
		struct km_rng rng;

		for (size_t b = 0; b < blocks; b++)
			block[b] = b;
		seeded(p, ORDER, repeat, 0, &rng);
		shuffle(block, blocks, &rng);
		for (size_t b = 0; b < blocks; b++)
			*count += add_block(p, repeat, block[b], play + *count);
		for (size_t i = first; i < *count; i++)
			play[i].order = (unsigned)(i - first) + 1;
	}
	free(block);
	return 0;
}

void km_plan_luck(const struct km_plan *p, const struct km_play *play, struct km_rng *out)
{
	seeded(p, CHOICE, (uint64_t)play->repeat << 32 | play->episode, play->arm, out);
}

double km_plan_play_seconds(const struct km_plan *p, double window_s)
{
	const struct km_plan_times *t = &p->times;

	/* warm-up comes twice: of the interference, and of the load */
	return (double)(2 * t->warm_up_ns + t->settle_ns + p->trial.during_ns + t->cool_down_ns) /
	               1e9 +
	       window_s;
}

uint64_t km_plan_trial_hash(const struct km_plan *p)
{
	const struct km_plan_trial *t = &p->trial;
	struct km_buf text;
	uint64_t hash = 0;

	km_buf_init(&text);
	km_plan_identity(p, &text);
	km_buf_printf(&text, "trial.episodes: %u\ntrial.replicas: %u\ntrial.rps: ", t->episodes,
	              t->replicas);
	km_buf_double(&text, t->rps);
	km_buf_str(&text, "\ntrial.quiet: ");
	km_buf_double(&text, t->quiet_share);
	km_buf_printf(&text, "\ntrial.window: %lld ns\ntrial.during: %lld ns\n",
	              (long long)t->window_ns, (long long)t->during_ns);
	for (size_t i = 0; i < t->arm_count; i++)
		km_buf_printf(&text, "trial.arm: %s\n", km_plan_arm_name(t->arm[i]));
	for (size_t i = 0; i < t->stressor_count; i++)
		km_buf_printf(&text, "trial.stressor: %s\n", km_stress_kind_name(t->stressor[i]));
	for (size_t i = 0; i < t->level_count; i++)
		km_buf_printf(&text, "trial.level: %u\n", t->level_pct[i]);
	if (km_buf_ok(&text))
		hash = km_hash64(text.data, text.len, HASH_SEED);
	km_buf_fini(&text);
	return hash;
}
