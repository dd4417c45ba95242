/* SPDX-License-Identifier: Apache-2.0 */
/* How the readers of answers read: what is absent or of an unexpected type is NULL or NaN. */
#ifndef KM_WIRE_CLIENT_INTERNAL_H
#define KM_WIRE_CLIENT_INTERNAL_H

#include <cjson/cJSON.h>

#include "km/wire/client_answers.h"

/* A copy in the table's arena; NULL stays NULL. */
const char *km_client_keep(struct km_client_table *t, const char *text);

const char *km_client_text(const cJSON *object, const char *key);
double km_client_number(const cJSON *object, const char *key);

/* The row of a name, added when new. NULL when out of memory. */
struct km_client_node *km_client_row(struct km_client_table *t, const char *name);

#endif
