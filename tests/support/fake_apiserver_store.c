/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake API server keeps: objects, and what happened to them. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "km/base/macros.h"

#include "support/fake_apiserver_internal.h"

void fake_status(struct km_buf *out, int code, const char *reason, const char *message)
{
	km_buf_printf(out,
	              "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
	              "\"status\":\"Failure\",\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}",
	              message, reason, code);
}

/* ---- the target ----------------------------------------------------------------------------- */

static void take(char *out, size_t out_size, const char **p)
{
	size_t len = strcspn(*p, "/?");

	(void)snprintf(out, out_size, "%.*s", (int)len, *p);
	*p += len;
	*p += **p == '/';
}

bool fake_request_split(struct fake_request *r)
{
	const char *p = r->target;
	char part[256];
	int prefix = 0;

	r->ns[0] = r->name[0] = r->sub[0] = '\0';
	if (strncmp(p, "/api/", 5) == 0)
		prefix = 2;
	else if (strncmp(p, "/apis/", 6) == 0)
		prefix = 3;
	else
		return false;
	r->resource[0] = '\0';
	p++;
	for (int i = 0; i < prefix; i++) {
		size_t len = strlen(r->resource);

		take(part, sizeof(part), &p);
		(void)snprintf(r->resource + len, sizeof(r->resource) - len, "/%s", part);
	}
	take(part, sizeof(part), &p);
	if (strcmp(part, "namespaces") == 0) {
		take(r->ns, sizeof(r->ns), &p);
		take(part, sizeof(part), &p);
		if (part[0] == '\0') { /* a namespace itself, or all of them */
			(void)snprintf(r->name, sizeof(r->name), "%s", r->ns);
			r->ns[0] = '\0';
			(void)snprintf(part, sizeof(part), "namespaces");
		}
	}
	(void)snprintf(r->resource + strlen(r->resource), sizeof(r->resource) - strlen(r->resource),
	               "/%s", part);
	if (r->name[0] == '\0')
		take(r->name, sizeof(r->name), &p);
	take(r->sub, sizeof(r->sub), &p);
	return part[0] != '\0';
}

static int hex(char c)
{
	static const char digits[] = "0123456789ABCDEF0123456789abcdef";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) % 16 : 0;
}

bool fake_request_argument(const struct fake_request *r, const char *key, char *out,
                           size_t out_size)
{
	const char *p = strchr(r->target, '?');
	size_t len = strlen(key);
	size_t n = 0;

	out[0] = '\0';
	for (; p != NULL; p = strchr(p, '&')) {
		p++;
		if (strncmp(p, key, len) != 0 || p[len] != '=')
			continue;
		for (p += len + 1; *p != '\0' && *p != '&' && n + 1 < out_size; p++) {
			if (*p == '%' && p[1] != '\0' && p[2] != '\0') {
				out[n++] = (char)(hex(p[1]) * 16 + hex(p[2]));
				p += 2;
			} else {
				out[n++] = *p;
			}
		}
		out[n] = '\0';
		return true;
	}
	return false;
}

/* ---- selectors ------------------------------------------------------------------------------ */

static const char *text_at(const cJSON *object, const char *a, const char *b)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, a);

	if (b != NULL)
		v = cJSON_GetObjectItemCaseSensitive(v, b);
	return cJSON_IsString(v) ? v->valuestring : NULL;
}

static bool label_matches(const cJSON *labels, const char *term, size_t len)
{
	const char *equals = memchr(term, '=', len);
	size_t key_len = equals != NULL ? (size_t)(equals - term) : len;
	char key[256];
	const cJSON *v;

	(void)snprintf(key, sizeof(key), "%.*s", (int)key_len, term);
	v = cJSON_GetObjectItemCaseSensitive(labels, key);
	if (v == NULL || equals == NULL)
		return v != NULL;
	while (equals < term + len && *equals == '=')
		equals++;
	len = (size_t)(term + len - equals);
	return cJSON_IsString(v) && strlen(v->valuestring) == len &&
	       memcmp(v->valuestring, equals, len) == 0;
}

bool fake_request_selects(const struct fake_request *r, const char *json)
{
	char selector[FAKE_PATH_MAX];
	cJSON *object = cJSON_Parse(json);
	const cJSON *labels = cJSON_GetObjectItemCaseSensitive(
		cJSON_GetObjectItemCaseSensitive(object, "metadata"), "labels");
	bool good = true;

	if (fake_request_argument(r, "labelSelector", selector, sizeof(selector))) {
		for (const char *p = selector; good && *p != '\0'; p += *p == ',') {
			size_t len = strcspn(p, ",");

			good = label_matches(labels, p, len);
			p += len;
		}
	}
	if (good && fake_request_argument(r, "fieldSelector", selector, sizeof(selector))) {
		const char *name = text_at(object, "metadata", "name");
		const char *node = text_at(object, "spec", "nodeName");

		if (strncmp(selector, "metadata.name=", 14) == 0)
			good = name != NULL && strcmp(name, selector + 14) == 0;
		else if (strncmp(selector, "spec.nodeName=", 14) == 0)
			good = strcmp(node != NULL ? node : "", selector + 14) == 0;
	}
	cJSON_Delete(object);
	return good;
}

/* ---- objects -------------------------------------------------------------------------------- */

static int compare(const struct fake_object *o, const char *resource, const char *ns,
                   const char *name)
{
	int c = strcmp(o->resource, resource);

	if (c == 0)
		c = strcmp(o->ns, ns);
	return c != 0 ? c : strcmp(o->name, name);
}

/* The first object that is not before these. */
static size_t place_of(const struct fake_apiserver_state *s, const char *resource, const char *ns,
                       const char *name)
{
	size_t low = 0;
	size_t high = s->object_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (compare(&s->object[middle], resource, ns, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct fake_object *fake_store_find(const struct fake_apiserver_state *s,
                                          const char *resource, const char *ns, const char *name)
{
	size_t i = place_of(s, resource, ns, name);

	return i < s->object_count && compare(&s->object[i], resource, ns, name) == 0
	               ? &s->object[i]
	               : NULL;
}

static void *grown(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room > 0 ? *room * 2 : 64;
	array = reallocarray(array, *room, size);
	if (array == NULL)
		abort();
	return array;
}

static void happened(struct fake_apiserver_state *s, const char *type, const char *resource,
                     const char *json)
{
	struct fake_event *e;

	s->event = grown(s->event, s->event_count, &s->event_room, sizeof(*s->event));
	e = &s->event[s->event_count++];
	*e = (struct fake_event){ s->version, type, strdup(resource), strdup(json) };
	fake_wake_all(s);
}

/* Sets metadata.<key>; adds what is missing on the way. */
static void set_meta(cJSON *object, const char *key, const char *value)
{
	cJSON *meta = cJSON_GetObjectItemCaseSensitive(object, "metadata");

	if (meta == NULL)
		meta = cJSON_AddObjectToObject(object, "metadata");
	cJSON_DeleteItemFromObjectCaseSensitive(meta, key);
	(void)cJSON_AddStringToObject(meta, key, value);
}

static void put(struct fake_apiserver_state *s, const char *resource, cJSON *object,
                struct km_buf *out)
{
	const char *name = text_at(object, "metadata", "name");
	const char *ns = text_at(object, "metadata", "namespace");
	char version[32];
	const char *type = "MODIFIED";
	struct fake_object *o;
	size_t i;

	(void)snprintf(version, sizeof(version), "%llu", (unsigned long long)++s->version);
	set_meta(object, "resourceVersion", version);
	if (text_at(object, "metadata", "uid") == NULL) {
		char uid[64];

		(void)snprintf(uid, sizeof(uid), "00000000-0000-4000-8000-%012llu",
		               (unsigned long long)s->version);
		set_meta(object, "uid", uid);
	}
	name = name != NULL ? text_at(object, "metadata", "name") : "";
	ns = ns != NULL ? text_at(object, "metadata", "namespace") : "";
	i = place_of(s, resource, ns, name);
	if (i == s->object_count || compare(&s->object[i], resource, ns, name) != 0) {
		s->object = grown(s->object, s->object_count, &s->object_room, sizeof(*s->object));
		memmove(s->object + i + 1, s->object + i,
		        (s->object_count++ - i) * sizeof(*s->object));
		s->object[i] =
			(struct fake_object){ strdup(resource), strdup(ns), strdup(name), NULL, 0 };
		type = "ADDED";
	}
	o = &s->object[i];
	free(o->json);
	o->json = cJSON_PrintUnformatted(object);
	o->version = s->version;
	if (out != NULL)
		km_buf_str(out, o->json);
	happened(s, type, resource, o->json);
}

void fake_store_put(struct fake_apiserver_state *s, const char *resource, const char *json,
                    struct km_buf *out)
{
	cJSON *object = cJSON_Parse(json);

	if (object == NULL)
		abort(); /* a test's own mistake */
	put(s, resource, object, out);
	cJSON_Delete(object);
}

bool fake_store_delete(struct fake_apiserver_state *s, const char *resource, const char *ns,
                       const char *name)
{
	size_t i = place_of(s, resource, ns, name);
	struct fake_object *o = &s->object[i];
	char version[32];
	cJSON *object;
	char *last;

	if (i == s->object_count || compare(o, resource, ns, name) != 0)
		return false;
	object = cJSON_Parse(o->json);
	(void)snprintf(version, sizeof(version), "%llu", (unsigned long long)++s->version);
	set_meta(object, "resourceVersion", version);
	last = cJSON_PrintUnformatted(object);
	cJSON_Delete(object);
	happened(s, "DELETED", resource, last);
	free(last);
	free(o->resource);
	free(o->ns);
	free(o->name);
	free(o->json);
	memmove(o, o + 1, (--s->object_count - i) * sizeof(*o));
	return true;
}

/* ---- answers -------------------------------------------------------------------------------- */

static int list(struct fake_apiserver_state *s, const struct fake_request *r, struct km_buf *body)
{
	char token[FAKE_PATH_MAX * 2] = "";
	char text[32];
	char ns[256] = "";
	char name[256] = "";
	unsigned long long version = s->version;
	size_t limit = SIZE_MAX;
	size_t count = 0;
	size_t i;

	if (fake_request_argument(r, "limit", text, sizeof(text)))
		limit = strtoul(text, NULL, 10);
	if (limit == 0)
		limit = SIZE_MAX;
	if (fake_request_argument(r, "continue", token, sizeof(token))) {
		version = strtoull(token, NULL, 10);
		if (sscanf(token, "%*[0-9]/%255[^/]/%255s", ns, name) < 2 ||
		    version < s->compacted) {
			fake_status(body, 410, "Expired",
			            "The provided continue parameter is too old");
			return 410;
		}
	}
	/* '+' stands for no namespace, and is not itself in a URL: a client has to escape it */
	i = place_of(s, r->resource, strcmp(ns, "+") == 0 ? "" : ns, name);
	km_buf_str(body, "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[");
	for (; i < s->object_count && strcmp(s->object[i].resource, r->resource) == 0; i++) {
		const struct fake_object *o = &s->object[i];

		if ((r->ns[0] != '\0' && strcmp(o->ns, r->ns) != 0) ||
		    !fake_request_selects(r, o->json))
			continue;
		if (count == limit)
			break;
		km_buf_printf(body, "%s%s", count++ > 0 ? "," : "", o->json);
	}
	km_buf_printf(body, "],\"metadata\":{\"resourceVersion\":\"%llu\"", version);
	if (count == limit && i < s->object_count &&
	    strcmp(s->object[i].resource, r->resource) == 0)
		km_buf_printf(body, ",\"continue\":\"%llu/%s/%s\"", version,
		              s->object[i].ns[0] != '\0' ? s->object[i].ns : "+",
		              s->object[i].name);
	km_buf_str(body, "}}");
	return 200;
}

/* RFC 7386. */
static void merge(cJSON *target, const cJSON *patch)
{
	const cJSON *p;

	cJSON_ArrayForEach(p, patch)
	{
		cJSON *old = cJSON_GetObjectItemCaseSensitive(target, p->string);

		if (cJSON_IsObject(p) && !cJSON_IsObject(old)) {
			cJSON_DeleteItemFromObjectCaseSensitive(target, p->string);
			old = cJSON_AddObjectToObject(target, p->string);
		}
		if (cJSON_IsObject(p)) {
			merge(old, p); /* NOLINT(misc-no-recursion): a test's own patch */
			continue;
		}
		cJSON_DeleteItemFromObjectCaseSensitive(target, p->string);
		if (!cJSON_IsNull(p))
			(void)cJSON_AddItemToObject(target, p->string, cJSON_Duplicate(p, 1));
	}
}

static int change(struct fake_apiserver_state *s, const struct fake_request *r,
                  const struct fake_object *o, cJSON *given, struct km_buf *body)
{
	cJSON *now = cJSON_Parse(o->json);
	const char *wanted = text_at(given, "metadata", "resourceVersion");
	const char *is = text_at(now, "metadata", "resourceVersion");
	int status = 200;

	if (wanted != NULL && is != NULL && strcmp(wanted, is) != 0) {
		fake_status(body, 409, "Conflict", "the object has been modified");
		status = 409;
	} else if (strcmp(r->method, "PUT") == 0) {
		set_meta(given, "uid", text_at(now, "metadata", "uid"));
		set_meta(given, "name", r->name);
		if (r->ns[0] != '\0')
			set_meta(given, "namespace", r->ns);
		put(s, r->resource, given, body);
	} else {
		merge(now, given);
		put(s, r->resource, now, body);
	}
	cJSON_Delete(now);
	return status;
}

static int create(struct fake_apiserver_state *s, const struct fake_request *r, cJSON *given,
                  struct km_buf *body)
{
	const char *name = text_at(given, "metadata", "name");
	const char *prefix = text_at(given, "metadata", "generateName");
	char made[300];

	if (name == NULL) {
		(void)snprintf(made, sizeof(made), "%s%05llu", prefix != NULL ? prefix : "x",
		               (unsigned long long)s->version + 1);
		set_meta(given, "name", made);
	}
	if (r->ns[0] != '\0')
		set_meta(given, "namespace", r->ns);
	if (fake_store_find(s, r->resource, r->ns, text_at(given, "metadata", "name")) != NULL) {
		fake_status(body, 409, "AlreadyExists", "it is there already");
		return 409;
	}
	put(s, r->resource, given, body);
	return 201;
}

int fake_store_answer(struct fake_apiserver_state *s, const struct fake_request *r,
                      struct km_buf *body)
{
	bool get = strcmp(r->method, "GET") == 0;
	const struct fake_object *o;
	cJSON *given;
	int status;

	if (get && r->name[0] == '\0')
		return list(s, r, body);
	o = r->name[0] != '\0' ? fake_store_find(s, r->resource, r->ns, r->name) : NULL;
	if (o == NULL && r->name[0] != '\0') {
		fake_status(body, 404, "NotFound", "there is none of that name");
		return 404;
	}
	if (get) {
		km_buf_str(body, o->json);
		return 200;
	}
	if (o == NULL && strcmp(r->method, "POST") != 0) {
		fake_status(body, 405, "MethodNotAllowed", "want a name");
		return 405;
	}
	if (strcmp(r->method, "DELETE") == 0 || strcmp(r->sub, "eviction") == 0) {
		(void)fake_store_delete(s, r->resource, r->ns, r->name);
		km_buf_str(body, "{\"kind\":\"Status\",\"status\":\"Success\"}");
		return strcmp(r->sub, "eviction") == 0 ? 201 : 200;
	}
	given = cJSON_Parse(r->body);
	if (!cJSON_IsObject(given)) {
		fake_status(body, 400, "BadRequest", "want an object");
		status = 400;
	} else if (o == NULL || strcmp(r->method, "POST") == 0) {
		status = create(s, r, given, body);
	} else {
		status = change(s, r, o, given, body);
	}
	cJSON_Delete(given);
	return status;
}
