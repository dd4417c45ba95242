/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor found, for people and for programs. */
#include "findings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "km/wire/json.h"

static const char *const level_names[] = {
	[FINDING_NOTE] = "note",
	[FINDING_WARNING] = "warning",
	[FINDING_ERROR] = "error",
};

void findings_init(struct findings *f)
{
	*f = (struct findings){ .item = NULL };
}

void findings_fini(struct findings *f)
{
	free(f->item);
}

void findings_add(struct findings *f, enum finding_level level, const char *about, const char *want,
                  const char *mend, const char *seen, ...)
{
	struct finding *item;
	va_list args;

	if (f->count == f->cap) {
		size_t cap = f->cap > 0 ? 2 * f->cap : 16;
		struct finding *grown = reallocarray(f->item, cap, sizeof(*grown));

		if (grown == NULL) {
			f->failed = true;
			return;
		}
		f->item = grown;
		f->cap = cap;
	}
	item = &f->item[f->count++];
	*item = (struct finding){ .level = level, .want = want, .mend = mend };
	(void)snprintf(item->about, sizeof(item->about), "%s", about);
	va_start(args, seen);
	(void)vsnprintf(item->seen, sizeof(item->seen), seen, args);
	va_end(args);
}

static void print_text(const struct finding *item)
{
	printf("%-8s ", level_names[item->level]);
	km_table_put_text(stdout, item->about);
	printf("\n         seen    ");
	km_table_put_text(stdout, item->seen);
	printf("\n         wanted  %s\n", item->want);
	if (item->mend[0] != '\0')
		printf("         mend    %s\n", item->mend);
}

static int print_json(const struct findings *f)
{
	struct km_buf out;
	struct km_json j;
	int rc;

	km_buf_init(&out);
	j = km_json_to(&out);
	km_json_begin(&j, '{');
	km_json_key(&j, "findings");
	km_json_begin(&j, '[');
	for (int level = FINDING_ERROR; level >= FINDING_NOTE; level--) {
		for (size_t i = 0; i < f->count; i++) {
			const struct finding *item = &f->item[i];

			if ((int)item->level != level)
				continue;
			km_json_begin(&j, '{');
			km_json_put_string(&j, "level", level_names[level]);
			km_json_put_string(&j, "about", item->about);
			km_json_put_string(&j, "seen", item->seen);
			km_json_put_string(&j, "wanted", item->want);
			km_json_put_string(&j, "mend", item->mend);
			km_json_end(&j, '}');
		}
	}
	km_json_end(&j, ']');
	km_json_end(&j, '}');
	km_buf_char(&out, '\n');
	rc = km_buf_ok(&out) ? 0 : -1;
	if (rc == 0)
		(void)fwrite(out.data, 1, out.len, stdout);
	km_buf_fini(&out);
	return rc;
}

int findings_print(struct findings *f, bool json)
{
	size_t count[KM_ARRAY_LEN(level_names)] = { 0 };

	for (size_t i = 0; i < f->count; i++)
		count[f->item[i].level]++;
	if (json && print_json(f) != 0)
		f->failed = true;
	for (int level = FINDING_ERROR; !json && level >= FINDING_NOTE; level--) {
		for (size_t i = 0; i < f->count; i++) {
			if ((int)f->item[i].level == level)
				print_text(&f->item[i]);
		}
	}
	if (!json)
		printf("%s%zu errors, %zu warnings, %zu notes\n", f->count > 0 ? "\n" : "",
		       count[FINDING_ERROR], count[FINDING_WARNING], count[FINDING_NOTE]);
	if (f->failed) {
		(void)fprintf(stderr, "kubemarla: out of memory\n");
		return KM_COMMAND_FAILED;
	}
	return count[FINDING_ERROR] + count[FINDING_WARNING] > 0 ? KM_COMMAND_FAILED
	                                                         : KM_COMMAND_OK;
}
