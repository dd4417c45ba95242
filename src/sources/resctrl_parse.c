/* SPDX-License-Identifier: Apache-2.0 */
/* One monitoring value of resctrl: a number, or one of the words that stand for none. */
#include <errno.h>
#include <string.h>

#include "counter.h"
#include "resctrl.h"

int km_resctrl_parse(const char *text, size_t len, uint64_t *out_bytes)
{
	static const struct {
		const char *word;
		int code;
	} words[] = {
		{ "Unavailable", ENODATA }, /* no counter behind the RMID at this moment */
		{ "Unassigned", ENODATA },  /* counters are assigned by hand, and here is none */
		{ "Error", EIO },
	};

	if (len > 0 && text[len - 1] == '\n') {
		len--;
	}
	for (size_t i = 0; i < KM_ARRAY_LEN(words); i++) {
		if (strlen(words[i].word) == len && memcmp(text, words[i].word, len) == 0) {
			return -words[i].code;
		}
	}
	return km_counter_parse(text, len, out_bytes) == 0 ? 0 : -EBADMSG;
}
