/* SPDX-License-Identifier: Apache-2.0 */
/* kubemarla-lab, the experiment harness: a table of subcommands, a file each. */
#include <stdio.h>

#include "km/base/macros.h"

#include "lab_internal.h"

static int version_command(int argc, char **argv);

static const struct km_command commands[] = {
	{ "check", "validate a plan, list its runs and their time", km_lab_check },
	{ "help", "list the commands, or explain one", km_command_help },
	{ "import", "the thesis' recordings into a dataset", km_lab_import },
	{ "load", "one load through a plan's target", km_lab_load },
	{ "record", "counters of this machine into a trace", km_lab_record },
	{ "report", "what came of an experiment, from its files", km_lab_report },
	{ "run", "make a plan's runs, or the rest of them", km_lab_run },
	{ "stress", "keep a resource of this machine busy", km_lab_stress },
	{ "trial", "play interference under each arm, and compare", km_lab_trial },
	{ "version", "print the version", version_command },
};

static int version_command(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("kubemarla-lab %s\n", KM_VERSION);
	return KM_COMMAND_OK;
}

int main(int argc, char **argv)
{
	static const struct km_command_program program = {
		.name = "kubemarla-lab",
		.page = "kubemarla-lab(1)",
		.command = commands,
		.commands = KM_ARRAY_LEN(commands),
	};

	return km_command_main(&program, argc, argv);
}
