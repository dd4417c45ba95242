/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lab_internal.h"

int km_lab_tell(const struct km_err *err)
{
	fprintf(stderr, "kubemarla-lab: %s\n", err->text);
	return KM_COMMAND_FAILED;
}

static bool is_plain(const char *text)
{
	const char *p = text;

	while (isalnum((unsigned char)*p) || (*p != '\0' && strchr("@%+=:,./_-", *p) != NULL))
		p++;
	return p > text && *p == '\0';
}

void km_lab_put_word(struct km_buf *out, const char *text)
{
	if (is_plain(text)) {
		km_buf_str(out, text);
		return;
	}
	km_buf_char(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			km_buf_str(out, "'\\''");
		else
			km_buf_char(out, *text);
	}
	km_buf_char(out, '\'');
}

void km_lab_tell_resume(const char *const *word)
{
	struct km_buf line;

	km_buf_init(&line);
	km_buf_str(&line, "resume with: kubemarla-lab");
	for (; word[0] != NULL; word++) {
		km_buf_char(&line, ' ');
		km_lab_put_word(&line, word[0]);
	}
	fprintf(stderr, "%s\n", km_buf_cstr(&line));
	km_buf_fini(&line);
}
