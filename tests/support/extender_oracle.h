/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold for any bytes whatever: an accepted body means what cJSON finds in it, and the
 * answers to it are JSON, with each distinct name once. Shared by unit tests and the fuzzer, so it
 * aborts instead of reporting.
 */
#ifndef KM_TESTS_EXTENDER_ORACLE_H
#define KM_TESTS_EXTENDER_ORACLE_H

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "km/wire/extender.h"

#define ORACLE_PAIRS_MAX 300 /* names compared each with each */

#define ORACLE(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: oracle: %s\n", __FILE__, __LINE__, #condition);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static inline bool oracle_contains(const char *body, size_t len, const char *what)
{
	return memmem(body, len, what, strlen(what)) != NULL;
}

/* The last member spelled `key` in any case, as Go would take it. */
static inline const cJSON *oracle_member(const cJSON *object, const char *key)
{
	const cJSON *found = NULL;
	const cJSON *member;

	cJSON_ArrayForEach(member, object)
	{
		if (strcasecmp(member->string, key) == 0)
			found = member;
	}
	return found;
}

static inline bool oracle_name_is(struct km_name name, const char *text)
{
	return name.len == strlen(text) && memcmp(name.text, text, name.len) == 0;
}

/* The distinct names that cJSON finds are ours, in the same order. */
static inline void oracle_same_names(const cJSON *tree, const struct km_extender_args *args)
{
	const cJSON *names = oracle_member(tree, "NodeNames");
	const cJSON *nodes = oracle_member(tree, "Nodes");
	const cJSON *entry;
	size_t at = 0;
	size_t entries = 0;

	if (cJSON_IsArray(names)) {
		ORACLE(args->form == KM_EXTENDER_NODE_NAMES);
		entry = names->child;
	} else if (cJSON_IsObject(nodes)) {
		ORACLE(args->form == KM_EXTENDER_NODES);
		entry = NULL; /* items may be doubled too: only the count of names is compared */
		return;
	} else {
		ORACLE(args->form == KM_EXTENDER_NONE && args->count == 0);
		return;
	}
	for (; entry; entry = entry->next, entries++) {
		bool seen = false;

		ORACLE(cJSON_IsString(entry));
		for (size_t i = 0; i < at && !seen; i++)
			seen = oracle_name_is(args->name[i], entry->valuestring);
		if (seen)
			continue;
		ORACLE(at < args->count);
		ORACLE(oracle_name_is(args->name[at], entry->valuestring));
		at++;
	}
	ORACLE(at == args->count);
	ORACLE(entries == args->count + args->repeated);
}

/* Every third node fails, for a reason of each kind in turn. */
static inline void oracle_answers(const struct km_extender_args *args, bool compare)
{
	static const struct km_extender_reason reasons[] = { { "too slow", false },
		                                             { "no \"data\"", true } };
	uint8_t *outcome = calloc(args->count + 1, 1);
	int32_t *score = calloc(args->count + 1, sizeof(*score));
	struct km_buf out;
	cJSON *tree;

	ORACLE(outcome && score);
	km_buf_init(&out);
	for (size_t i = 0; i < args->count; i++) {
		outcome[i] = i % 3 == 1 ? (uint8_t)(i / 3 % 2) : KM_EXTENDER_PASS;
		score[i] = (int32_t)i - 1;
	}
	km_extender_write_priorities(&out, args, score);
	ORACLE(km_buf_ok(&out));
	tree = cJSON_Parse(km_buf_cstr(&out));
	ORACLE(!compare || (tree && (size_t)cJSON_GetArraySize(tree) == args->count));
	for (size_t i = 0; compare && i < args->count && i < ORACLE_PAIRS_MAX; i++) {
		const cJSON *entry = cJSON_GetArrayItem(tree, (int)i);

		ORACLE(oracle_name_is(args->name[i],
		                      cJSON_GetObjectItem(entry, "Host")->valuestring));
		ORACLE(cJSON_GetObjectItem(entry, "Score")->valueint == (int)i - 1);
	}
	cJSON_Delete(tree);

	km_buf_clear(&out);
	km_extender_write_filter(&out, args, outcome, reasons, 2);
	ORACLE(km_buf_ok(&out));
	tree = cJSON_Parse(km_buf_cstr(&out));
	ORACLE(!compare || tree);
	if (compare) {
		const cJSON *names = cJSON_GetObjectItem(tree, "NodeNames");
		const cJSON *nodes = cJSON_GetObjectItem(tree, "Nodes");
		int failed =
			cJSON_GetArraySize(cJSON_GetObjectItem(tree, "FailedNodes")) +
			cJSON_GetArraySize(cJSON_GetObjectItem(tree, "FailedAndUnresolvableNodes"));

		ORACLE(cJSON_IsNull(args->form == KM_EXTENDER_NODES ? names : nodes));
		if (args->form == KM_EXTENDER_NODES)
			names = cJSON_GetObjectItem(nodes, "items");
		ORACLE(cJSON_IsArray(names));
		ORACLE((size_t)(cJSON_GetArraySize(names) + failed) == args->count);
	}
	cJSON_Delete(tree);
	km_buf_fini(&out);
	free(outcome);
	free(score);
}

/* returns what km_extender_decode returned. */
static inline int extender_oracle(const char *body, size_t len)
{
	/* cJSON ends strings at \u0000 and refuses what Go replaces: halves of surrogate pairs. */
	bool odd = oracle_contains(body, len, "\\u0000") || oracle_contains(body, len, "\\ud") ||
	           oracle_contains(body, len, "\\uD");
	struct km_extender_args args;
	struct km_arena arena;
	struct km_err err = { .code = 0 };
	cJSON *tree;
	int rc;

	km_arena_init(&arena, 0);
	tree = cJSON_ParseWithLength(body, len);
	rc = km_extender_decode(body, len, 64, 7, &arena, &args, &err);
	ORACLE(rc == 0 || (rc == -EINVAL && err.text[0] != '\0'));
	if (rc == 0) {
		ORACLE(odd || tree);
		if (!odd && args.count <= ORACLE_PAIRS_MAX)
			oracle_same_names(tree, &args);
		oracle_answers(&args, !odd);
	}
	cJSON_Delete(tree);
	km_arena_fini(&arena);
	return rc;
}

#endif
