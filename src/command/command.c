/* SPDX-License-Identifier: Apache-2.0 */
/* From a table of subcommands to the one that was asked for. */
#include "km/command/command.h"

#include <stdio.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/base/typo.h"

#define TYPOS_MAX 2 /* more, and it was another word */

static const struct km_command_program *program; /* set once, first thing in main */

static void print_usage(FILE *to)
{
	fprintf(to, "Usage: %s COMMAND [ARGUMENTS]\n\n", program->name);
	for (size_t i = 0; i < program->commands; i++)
		fprintf(to, "  %-10s %s\n", program->command[i].name, program->command[i].one_line);
	fprintf(to, "\n`%s help COMMAND` explains a command; %s has it all.\n", program->name,
	        program->page);
}

static const struct km_command *find(const char *name)
{
	for (size_t i = 0; i < program->commands; i++) {
		if (strcmp(program->command[i].name, name) == 0)
			return &program->command[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *near = NULL;
	size_t fewest = TYPOS_MAX + 1;

	for (size_t i = 0; i < program->commands; i++) {
		const char *known = program->command[i].name;
		size_t n = km_typos(name, strlen(name), known, strlen(known));

		if (n < fewest) {
			fewest = n;
			near = known;
		}
	}
	fprintf(stderr, "%s: no command \"%.40s\"", program->name, name);
	if (near != NULL)
		fprintf(stderr, ", did you mean %s?\n", near);
	else
		fprintf(stderr, "; `%s help` lists them\n", program->name);
	return KM_COMMAND_USAGE;
}

int km_command_help(int argc, char **argv)
{
	char help[] = "--help";
	const struct km_command *c;

	if (argc < 2 || strcmp(argv[1], "help") == 0 || argv[1][0] == '-') {
		print_usage(stdout);
		return KM_COMMAND_OK;
	}
	c = find(argv[1]);
	if (c == NULL)
		return unknown_command(argv[1]);
	return c->run(2, (char *[]){ argv[1], help, NULL });
}

int km_command_usage(const char *usage, int asked)
{
	fprintf(asked ? stdout : stderr, "Usage: %s %s", program->name, usage);
	return asked ? KM_COMMAND_OK : KM_COMMAND_USAGE;
}

int km_command_main(const struct km_command_program *p, int argc, char **argv)
{
	static const struct {
		const char *option, *command;
	} aliases[] = {
		{ "--help", "help" },
		{ "-h", "help" },
		{ "--version", "version" },
		{ "-V", "version" },
	};
	const struct km_command *c;
	const char *name;
	int rc;

	program = p;
	if (argc < 2) {
		print_usage(stderr);
		return KM_COMMAND_USAGE;
	}
	name = argv[1];
	for (size_t i = 0; i < KM_ARRAY_LEN(aliases); i++) {
		if (strcmp(name, aliases[i].option) == 0)
			name = aliases[i].command;
	}
	c = find(name);
	if (c == NULL)
		return unknown_command(name);
	rc = c->run(argc - 1, argv + 1);
	if (fflush(stdout) != 0 && rc == KM_COMMAND_OK) {
		fprintf(stderr, "%s: writing to standard output: %m\n", p->name);
		rc = KM_COMMAND_FAILED;
	}
	return rc;
}
