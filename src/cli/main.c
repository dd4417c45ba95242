/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubemarla, the tool: a table of subcommands, from which usage, help and suggestions come.
 * Installed as kubectl-marla too, so that `kubectl marla check` works.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/base/typo.h"
#include "km/model/model.h"

#include "cli_internal.h"

static int help_command(int argc, char **argv);
static int version_command(int argc, char **argv);

static const struct km_cli_command commands[] = {
	{ "ask", "ask a running daemon where a pod should go", km_cli_ask },
	{ "check", "validate a configuration and say what it would run", km_cli_check },
	{ "config", "print every option with its default and meaning", km_cli_config },
	{ "doctor", "say what stands in the way: machine, scheduler, cluster", km_cli_doctor },
	{ "eval", "judge a model on recorded runs", km_cli_eval },
	{ "help", "list the commands, or explain one", help_command },
	{ "model", "show, check or compare model files", km_cli_model },
	{ "replay", "decide again what a log says, with another model", km_cli_replay },
	{ "search", "look for a better training recipe", km_cli_search },
	{ "simulate", "compare placement policies on recorded data", km_cli_simulate },
	{ "top", "show the nodes of a running daemon", km_cli_top },
	{ "train", "train a model on recorded runs", km_cli_train },
	{ "version", "print the version", version_command },
	{ "why", "say why a pod was sent where it was", km_cli_why },
};

static const char *program(const char *argv0)
{
	const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : argv0;

	return name != NULL && strcmp(name, "kubectl-marla") == 0 ? "kubectl marla" : "kubemarla";
}

static const char *self = "kubemarla"; /* how we were called; set once, first thing in main */

static void print_usage(FILE *to)
{
	fprintf(to, "Usage: %s COMMAND [ARGUMENTS]\n\n", self);
	for (size_t i = 0; i < KM_ARRAY_LEN(commands); i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].one_line);
	fprintf(to, "\n`%s help COMMAND` explains a command; kubemarla(1) has it all.\n", self);
}

static const struct km_cli_command *find(const char *name)
{
	for (size_t i = 0; i < KM_ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *near = NULL;
	size_t fewest = 3;

	for (size_t i = 0; i < KM_ARRAY_LEN(commands); i++) {
		const char *known = commands[i].name;
		size_t n = km_typos(name, strlen(name), known, strlen(known));

		if (n < fewest) {
			fewest = n;
			near = known;
		}
	}
	fprintf(stderr, "%s: no command \"%.40s\"", self, name);
	if (near != NULL)
		fprintf(stderr, ", did you mean %s?\n", near);
	else
		fprintf(stderr, "; `%s help` lists them\n", self);
	return KM_CLI_USAGE;
}

static int help_command(int argc, char **argv)
{
	char help[] = "--help";
	const struct km_cli_command *c;

	if (argc < 2 || strcmp(argv[1], "help") == 0 || argv[1][0] == '-') {
		print_usage(stdout);
		return KM_CLI_OK;
	}
	c = find(argv[1]);
	if (c == NULL)
		return unknown_command(argv[1]);
	return c->run(2, (char *[]){ argv[1], help, NULL });
}

static int version_command(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("kubemarla %s (XGBoost %s)\n", KM_VERSION, km_model_library_version());
	return KM_CLI_OK;
}

int km_cli_usage(const char *usage, int asked)
{
	fprintf(asked ? stdout : stderr, "Usage: %s %s", self, usage);
	return asked ? KM_CLI_OK : KM_CLI_USAGE;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *option, *command;
	} aliases[] = {
		{ "--help", "help" },
		{ "-h", "help" },
		{ "--version", "version" },
		{ "-V", "version" },
	};
	const struct km_cli_command *c;
	const char *name;
	int rc;

	self = program(argc > 0 ? argv[0] : NULL);
	if (argc < 2) {
		print_usage(stderr);
		return KM_CLI_USAGE;
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
	if (fflush(stdout) != 0 && rc == KM_CLI_OK) {
		perror("kubemarla: writing to standard output");
		rc = KM_CLI_FAILED;
	}
	return rc;
}
