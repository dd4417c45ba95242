/* SPDX-License-Identifier: Apache-2.0 */
/* The option table as documentation: columns for --help, mdoc for kubemarla.yaml(5). */
#include <string.h>

#include "km/config/config.h"

#include "config_internal.h"

#define TEXT_WIDTH  80
#define TEXT_INDENT "        "

static const char *default_text(const struct km_conf_option *o)
{
	if (o->shown != NULL)
		return o->shown;
	if (o->preset == NULL)
		return o->required ? "none, required" : "none";
	return o->preset[0] != '\0' ? o->preset : "\"\"";
}

/* Words of `text`, broken before TEXT_WIDTH. */
static void wrap(const char *text, struct km_buf *out)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column > 0 && column + 1 + len > TEXT_WIDTH) {
			km_buf_char(out, '\n');
			column = 0;
		}
		if (column == 0) {
			km_buf_str(out, TEXT_INDENT);
			column = strlen(TEXT_INDENT);
		} else {
			km_buf_char(out, ' ');
			column++;
		}
		km_buf_append(out, text, len);
		column += len;
		text += len;
		text += strspn(text, " ");
	}
	km_buf_char(out, '\n');
}

static void describe_row(const struct km_conf_option *o, const char *indent, struct km_buf *out)
{
	km_buf_printf(out, "%s%s = %s", indent, o->key, default_text(o));
	if (o->unit != NULL)
		km_buf_printf(out, "  [%s]", o->unit);
	km_buf_str(out, "  (");
	conf_want(o, out);
	km_buf_printf(out, ")%s\n", o->reload ? "  reload" : "");
	wrap(o->help, out);
}

void km_config_describe_text(struct km_buf *out)
{
	for (size_t i = 0; i < conf_settings_table.count; i++)
		describe_row(&conf_settings_table.row[i], "  ", out);
	km_buf_str(out, "\nEach entry of nodes:\n");
	for (size_t i = 0; i < conf_node_table.count; i++)
		describe_row(&conf_node_table.row[i], "  ", out);
	km_buf_str(out, "\nEach {replay: {...}} of collect.sources:\n");
	for (size_t i = 0; i < conf_replay_table.count; i++)
		describe_row(&conf_replay_table.row[i], "  ", out);
}

/* mdoc reads a dot or quote at the start of a line as a macro, a backslash as an escape. */
static void mdoc_word(const char *word, size_t len, bool first, struct km_buf *out)
{
	if (first && (*word == '.' || *word == '\''))
		km_buf_str(out, "\\&");
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '\\')
			km_buf_str(out, "\\e");
		else if (word[i] == '"')
			km_buf_str(out, "\\(dq");
		else if (word[i] == '-')
			km_buf_str(out, "\\-");
		else
			km_buf_char(out, word[i]);
	}
}

/* Text in lines of at most TEXT_WIDTH; a new sentence begins a new line, as mdoc wants it. */
static void mdoc_text(const char *text, struct km_buf *out)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		bool ends = text[len - (len > 0)] == '.';

		if (column > 0 && column + 1 + len > TEXT_WIDTH) {
			km_buf_char(out, '\n');
			column = 0;
		} else if (column > 0) {
			km_buf_char(out, ' ');
		}
		mdoc_word(text, len, column == 0, out);
		column += len + 1;
		text += len;
		text += strspn(text, " ");
		if (ends && *text != '\0') {
			km_buf_char(out, '\n');
			column = 0;
		}
	}
}

static void mdoc_table(const struct km_conf_table *t, struct km_buf *out)
{
	struct km_buf line;

	km_buf_init(&line);
	km_buf_str(out, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < t->count; i++) {
		const struct km_conf_option *o = &t->row[i];

		km_buf_printf(out, ".It Ic %s\n", o->key);
		mdoc_text(o->help, out);
		km_buf_clear(&line);
		km_buf_str(&line, "Value: ");
		conf_want(o, &line);
		if (o->unit != NULL)
			km_buf_printf(&line, " (%s)", o->unit);
		km_buf_char(&line, '.');
		km_buf_str(out, "\n.br\n");
		mdoc_text(km_buf_cstr(&line), out);
		km_buf_str(out, "\nDefault: ");
		mdoc_text(default_text(o), out);
		km_buf_str(out, ".\n");
		if (o->reload)
			km_buf_str(out, "Applied on reload.\n");
	}
	km_buf_str(out, ".El\n");
	km_buf_fini(&line);
}

void km_config_describe_mdoc(struct km_buf *out)
{
	mdoc_table(&conf_settings_table, out);
	km_buf_str(out, ".Pp\nEach entry of\n.Ic nodes :\n");
	mdoc_table(&conf_node_table, out);
	km_buf_str(out, ".Pp\nEach\n.Ql {replay: {...}}\nof\n.Ic collect.sources :\n");
	mdoc_table(&conf_replay_table, out);
}
