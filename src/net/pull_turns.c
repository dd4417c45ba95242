/* SPDX-License-Identifier: Apache-2.0 */
/* Whose turn is next: a binary heap in which each turn knows its place, so that it can leave. */
#include <errno.h>
#include <stdlib.h>

#include "pull_internal.h"

int net_turns_reserve(struct net_turns *t, size_t count)
{
	struct net_turn **grown;

	if (count <= t->cap)
		return 0;
	grown = reallocarray(t->turn, count, sizeof(struct net_turn *));
	if (grown == NULL)
		return -ENOMEM;
	t->turn = grown;
	t->cap = count;
	return 0;
}

static void put(struct net_turns *t, size_t at, struct net_turn *turn)
{
	t->turn[at] = turn;
	turn->at = at;
}

static void rise(struct net_turns *t, size_t at, struct net_turn *turn)
{
	while (at > 0 && t->turn[(at - 1) / 2]->due_ns > turn->due_ns) {
		put(t, at, t->turn[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	put(t, at, turn);
}

static void sink(struct net_turns *t, size_t at, struct net_turn *turn)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < t->count && t->turn[child + 1]->due_ns < t->turn[child]->due_ns)
			child++;
		if (child >= t->count || t->turn[child]->due_ns >= turn->due_ns)
			break;
		put(t, at, t->turn[child]);
		at = child;
	}
	put(t, at, turn);
}

void net_turns_add(struct net_turns *t, struct net_turn *turn)
{
	rise(t, t->count++, turn);
}

void net_turns_remove(struct net_turns *t, struct net_turn *turn)
{
	size_t at = turn->at;
	struct net_turn *last;

	if (at == NET_TURN_NONE)
		return;
	turn->at = NET_TURN_NONE;
	last = t->turn[--t->count];
	if (last == turn)
		return;
	if (last->due_ns < turn->due_ns)
		rise(t, at, last);
	else
		sink(t, at, last);
}

struct net_turn *net_turns_first(const struct net_turns *t)
{
	return t->count > 0 ? t->turn[0] : NULL;
}

void net_turns_fini(struct net_turns *t)
{
	free(t->turn);
	*t = (struct net_turns){ .turn = NULL };
}
