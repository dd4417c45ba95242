/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds a fuzz target its corpus and its fixed crashes, without libFuzzer: what `make test` links
 * each target with. The target's name comes from the program's own, replay-fuzz_<name>; inputs lie
 * in tests/fuzz/corpus/<name>/ and tests/fuzz/regression/<name>/. Prints TAP, a test a directory.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX_BYTES (64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* returns 0, or -1 when the file cannot be read. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *exact = NULL;
	uint8_t *bytes = malloc(INPUT_MAX_BYTES);
	int rc = -1;
	size_t size;

	if (!file || !bytes)
		goto out;
	size = fread(bytes, 1, INPUT_MAX_BYTES, file);
	if (ferror(file))
		goto out;
	/* Exactly as large as the input, so that a sanitizer sees one byte too many. */
	exact = malloc(size);
	if (!exact && size > 0)
		goto out;
	if (size > 0)
		memcpy(exact, bytes, size);
	(void)LLVMFuzzerTestOneInput(exact, size);
	rc = 0;
out:
	free(exact);
	free(bytes);
	if (file)
		(void)fclose(file);
	return rc;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Prints one TAP line. returns the number of inputs, or -1 when one could not be read. */
static int replay_directory(int number, const char *kind, const char *target, int want_min)
{
	char path[PATH_MAX];
	struct dirent **entries = NULL;
	int bad = 0;
	int count;

	(void)snprintf(path, sizeof(path), "tests/fuzz/%s/%s", kind, target);
	count = scandir(path, &entries, is_input, alphasort);
	for (int i = 0; i < count; i++) {
		char input[PATH_MAX * 2];

		(void)snprintf(input, sizeof(input), "%s/%s", path, entries[i]->d_name);
		/* Said first and flushed: after a crash the last such line names the input. */
		(void)printf("# %s\n", input);
		(void)fflush(stdout);
		if (replay_file(input) != 0) {
			(void)printf("# %s: cannot be read\n", input);
			bad++;
		}
		free(entries[i]);
	}
	free(entries);
	if (count < 0)
		count = 0;
	(void)printf("%s %d - %s: %d inputs of %s, want at least %d\n",
	             bad > 0 || count < want_min ? "not ok" : "ok", number, target, count, kind,
	             want_min);
	return bad > 0 || count < want_min ? -1 : count;
}

int main(int argc, char **argv)
{
	static const char prefix[] = "replay-fuzz_";
	const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	int failed = 0;

	name = name ? name + 1 : argv[0];
	if (!name || strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
		(void)fprintf(stderr, "called as \"%s\", want %s<name>\n", name ? name : "",
		              prefix);
		return 2;
	}
	name += sizeof(prefix) - 1;
	(void)printf("1..2\n");
	failed += replay_directory(1, "corpus", name, 1) < 0;
	failed += replay_directory(2, "regression", name, 0) < 0;
	return failed > 0;
}
