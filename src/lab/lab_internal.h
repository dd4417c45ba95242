/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the laboratory: a subcommand is a row in the table of main.c and one function in a file of
 * its own, as km/command/command.h wants them. In alphabetical order. */
#ifndef KM_LAB_INTERNAL_H
#define KM_LAB_INTERNAL_H

#include "km/base/buf.h"
#include "km/base/err.h"
#include "km/command/command.h"

int km_lab_check(int argc, char **argv);
int km_lab_import(int argc, char **argv);
int km_lab_load(int argc, char **argv);
int km_lab_record(int argc, char **argv);
int km_lab_report(int argc, char **argv); /* report.c */
int km_lab_run(int argc, char **argv);
int km_lab_stress(int argc, char **argv); /* stress.c */
int km_lab_trial(int argc, char **argv);  /* trial.c */

/* Prints an error's text. returns KM_COMMAND_FAILED. */
int km_lab_tell(const struct km_err *err);

/* Appends a word of a command line as a shell reads it, in quotes where it needs them. */
void km_lab_put_word(struct km_buf *out, const char *text);

/* "resume with: kubemarla-lab WORD..." on standard error; word: NULL-ended. */
void km_lab_tell_resume(const char *const *word);

#endif
