/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kubemarla, the tool: a table of subcommands, from which usage, help and suggestions come.
 * Installed as kubectl-marla too, so that `kubectl marla check` works.
 */
#include <stdio.h>
#include <string.h>

#include "km/base/macros.h"
#include "km/model/model.h"

#include "cli_internal.h"

static int version_command(int argc, char **argv);

static const struct km_command commands[] = {
	{ "ask", "ask a running daemon where a pod should go", km_cli_ask },
	{ "check", "validate a configuration and say what it would run", km_cli_check },
	{ "config", "print every option with its default and meaning", km_cli_config },
	{ "doctor", "say what stands in the way: machine, scheduler, cluster", km_cli_doctor },
	{ "eval", "judge a model on recorded runs", km_cli_eval },
	{ "help", "list the commands, or explain one", km_command_help },
	{ "model", "show, check or compare model files", km_cli_model },
	{ "replay", "decide again what a log says, with another model", km_cli_replay },
	{ "search", "look for a better training recipe", km_cli_search },
	{ "simulate", "compare placement policies on recorded data", km_cli_simulate },
	{ "top", "show the nodes of a running daemon", km_cli_top },
	{ "train", "train a model on recorded runs", km_cli_train },
	{ "version", "print the version", version_command },
	{ "why", "say why a pod was sent where it was", km_cli_why },
};

static int version_command(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("kubemarla %s (XGBoost %s)\n", KM_VERSION, km_model_library_version());
	return KM_COMMAND_OK;
}

static const char *name_of(const char *argv0)
{
	const char *slash = argv0 != NULL ? strrchr(argv0, '/') : NULL;
	const char *name = slash != NULL ? slash + 1 : argv0;

	return name != NULL && strcmp(name, "kubectl-marla") == 0 ? "kubectl marla" : "kubemarla";
}

int main(int argc, char **argv)
{
	const struct km_command_program program = {
		.name = name_of(argc > 0 ? argv[0] : NULL),
		.page = "kubemarla(1)",
		.command = commands,
		.commands = KM_ARRAY_LEN(commands),
	};

	return km_command_main(&program, argc, argv);
}
