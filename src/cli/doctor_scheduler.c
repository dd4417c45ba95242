/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What in a KubeSchedulerConfiguration makes our vote inaudible or wrong. Facts about
 * kube-scheduler are of pkg/scheduler/extender.go, schedule_one.go and apis/config/validation.
 */
#include <stdlib.h>
#include <string.h>

#include "km/base/num.h"
#include "km/config/scheduler_config.h"
#include "km/config/tree.h"
#include "km/core/vote.h"

#include "doctor.h"

#define API_VERSION "kubescheduler.config.k8s.io/v1"
/* Its own default; and beyond the second we are not worth the wait of a serial loop. */
#define TIMEOUT_PRESET_S 5
#define TIMEOUT_LONG_S   1.0
#define TIMEOUT_SHORT_S  0.02
/* Of all points that can be given to a node. */
#define SHARE_INAUDIBLE 0.05
#define SHARE_FAINT     0.2
#define SHARE_LOUD      0.8

struct check {
	const struct doctor_scheduler *in;
	struct findings *f;
	struct doctor_seen *seen;
	const struct km_tree *root;
	const struct km_tree *ours; /* the extender */
	unsigned at;                /* its place in the list */
	char about[96];
};

static const char *text_of(const struct km_tree *map, const char *key)
{
	const struct km_tree *v = km_tree_get(map, key);

	return v != NULL && v->kind == KM_TREE_SCALAR ? v->text : "";
}

static bool is_true(const struct km_tree *map, const char *key)
{
	return strcmp(text_of(map, key), "true") == 0;
}

static size_t entries(const struct km_tree *list)
{
	size_t n = 0;

	for (const struct km_tree *i = list != NULL ? list->child : NULL; i != NULL; i = i->next)
		n++;
	return n;
}

/* "FILE: key", or of our extender "FILE: extenders[0].key". */
static const char *about(struct check *c, const char *key)
{
	(void)snprintf(c->about, sizeof(c->about), "%.48s: %s", c->in->name, key);
	return c->about;
}

static const char *about_ours(struct check *c, const char *key)
{
	(void)snprintf(c->about, sizeof(c->about), "%.48s: extenders[%u].%s", c->in->name, c->at,
	               key);
	return c->about;
}

static const char *shown(const char *text)
{
	return text[0] != '\0' ? text : "nothing";
}

/* ---- which extender is ours ------------------------------------------------------------------ */

/* Whether urlPrefix leads to where the settings listen. */
static bool leads_to(const struct km_settings *s, const char *prefix)
{
	struct doctor_url u;

	return doctor_url(prefix, &u) && u.port == s->listen.port;
}

static void choose(struct check *c)
{
	const struct km_tree *list = km_tree_get(c->root, "extenders");
	unsigned at = 0;

	for (const struct km_tree *i = list != NULL ? list->child : NULL; i != NULL;
	     i = i->next, at++) {
		const char *prefix = text_of(i, "urlPrefix");
		bool fits = c->in->server != NULL     ? doctor_same_prefix(prefix, c->in->server)
		            : c->in->settings != NULL ? leads_to(c->in->settings, prefix)
		                                      : false;

		if (fits && c->ours != NULL &&
		    doctor_same_prefix(prefix, text_of(c->ours, "urlPrefix"))) {
			findings_add(c->f, FINDING_ERROR, about(c, "extenders"),
			             "each extender once: scores of doubled ones are added up",
			             "remove one of them", "%s twice, at %u and %u", prefix, c->at,
			             at);
		} else if (c->ours == NULL && (fits || entries(list) == 1)) {
			c->ours = i;
			c->at = at;
		}
	}
	if (c->ours == NULL) {
		findings_add(c->f, FINDING_ERROR, about(c, "extenders"),
		             "one whose urlPrefix leads to kubemarlad",
		             "add it (deploy/base/scheduler/scheduler-config.yaml has one), or say "
		             "which is ours with --extender",
		             "%zu, none of them ours", entries(list));
	}
}

/* ---- the extender ---------------------------------------------------------------------------- */

static void check_url(struct check *c)
{
	const struct km_settings *s = c->in->settings;
	const char *prefix = text_of(c->ours, "urlPrefix");
	struct doctor_url u;

	if (!doctor_url(prefix, &u)) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "urlPrefix"),
		             "http://127.0.0.1:9191, or https:// of where kubemarlad listens",
		             "write scheme, host and port", "%s", shown(prefix));
		return;
	}
	c->seen->loopback = doctor_is_loopback(u.host);
	(void)snprintf(c->seen->host, sizeof(c->seen->host), "%s", u.host);
	if (s != NULL && u.port != s->listen.port)
		findings_add(c->f, FINDING_ERROR, about_ours(c, "urlPrefix"),
		             "the port of listen.port", "make the two agree",
		             "%s, while kubemarlad listens on port %u", prefix, s->listen.port);
	if (s != NULL && !c->seen->loopback && doctor_is_loopback(s->listen.address)) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "urlPrefix"),
		             "an address that kubemarlad listens on",
		             "as a sidecar: http://127.0.0.1:9191; else set listen.address",
		             "%s, while kubemarlad listens on %s only", prefix, s->listen.address);
	}
	if (s != NULL && u.https != (s->tls_cert[0] != '\0')) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "urlPrefix"),
		             "https:// when listen.tls is set, and only then", "make the two agree",
		             "%s, while listen.tls.cert is %s", prefix,
		             s->tls_cert[0] != '\0' ? "set" : "not set");
	}
	if (!u.https && !c->seen->loopback) {
		findings_add(c->f, FINDING_WARNING, about_ours(c, "urlPrefix"),
		             "loopback, or https:// with certificates of both sides",
		             "run kubemarlad as a sidecar, or set listen.tls",
		             "%s: pods travel unprotected, and whoever reaches that may answer",
		             prefix);
	}
}

static void check_verb(struct check *c, const char *key, const char *route,
                       enum finding_level when_absent, const char *absent)
{
	const char *verb = text_of(c->ours, key);
	char path[300];
	struct doctor_url u;

	if (verb[0] == '\0') {
		findings_add(c->f, when_absent, about_ours(c, key), route, "add it", "nothing: %s",
		             absent);
		return;
	}
	if (!doctor_url(text_of(c->ours, "urlPrefix"), &u))
		return;
	(void)snprintf(path, sizeof(path), "%s/%.120s", u.path, verb);
	if (strcmp(path, route) != 0)
		findings_add(c->f, FINDING_ERROR, about_ours(c, key), route,
		             "urlPrefix and verb together are the path that is asked",
		             "%.100s: kubemarlad answers 404", path);
}

static void check_verbs(struct check *c)
{
	check_verb(c, "filterVerb", "/filter", FINDING_WARNING,
	           "policies of mode Enforce reject no node");
	check_verb(c, "prioritizeVerb", "/prioritize", FINDING_ERROR, "no score is asked for");
	if (text_of(c->ours, "bindVerb")[0] != '\0')
		findings_add(c->f, FINDING_ERROR, about_ours(c, "bindVerb"), "nothing",
		             "remove it: kubemarlad binds no pods", "%s",
		             text_of(c->ours, "bindVerb"));
	if (text_of(c->ours, "preemptVerb")[0] != '\0')
		findings_add(c->f, FINDING_ERROR, about_ours(c, "preemptVerb"), "nothing",
		             "remove it: kubemarlad answers 404, and preemption fails", "%s",
		             text_of(c->ours, "preemptVerb"));
}

static void check_weight(struct check *c)
{
	const struct doctor_scheduler *in = c->in;
	uint32_t scale = in->settings != NULL ? in->settings->decide.score_scale : 10;
	struct km_scheduler_votes votes;
	struct km_err err = { .code = 0 };
	struct km_vote vote;
	enum finding_level level = FINDING_WARNING;
	const char *mend = "weight 10 with decide.scoreScale 10, weight 1 with 100";

	if (text_of(c->ours, "prioritizeVerb")[0] == '\0')
		return;
	if (km_scheduler_votes_parse(in->name, in->text, in->len, text_of(c->ours, "urlPrefix"),
	                             &votes, &err) != 0) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "weight"),
		             "weights that can be read", "", "%s", err.text);
		return;
	}
	if (votes.weight <= 0) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "weight"), "more than 0",
		             "weight: 10", "0: kube-scheduler does not start");
		return;
	}
	km_vote_count(votes.weight, scale, votes.in_tree_weight, &vote);
	if (vote.share >= SHARE_FAINT && vote.share <= SHARE_LOUD)
		return;
	if (vote.share < SHARE_INAUDIBLE)
		level = FINDING_ERROR;
	findings_add(c->f, level, about_ours(c, "weight"),
	             vote.share < SHARE_FAINT
	                     ? "a fifth of all points or more, or other plugins outvote us"
	                     : "four fifths of all points or less, or we outvote taints, affinity "
	                       "and spread together",
	             mend, "%g: %.0f points beside %.0f of the plugins, %.0f %%", votes.weight,
	             vote.points, vote.in_tree_points, 100 * vote.share);
}

static void check_flags(struct check *c)
{
	const struct km_tree *managed = km_tree_get(c->ours, "managedResources");

	if (!is_true(c->ours, "nodeCacheCapable")) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "nodeCacheCapable"), "true",
		             "nodeCacheCapable: true",
		             "%s: each request carries all node objects, tens of KB each",
		             shown(text_of(c->ours, "nodeCacheCapable")));
	}
	if (!is_true(c->ours, "ignorable"))
		findings_add(c->f, FINDING_WARNING, about_ours(c, "ignorable"), "true",
		             "ignorable: true", "%s: while kubemarlad is away no pod is scheduled",
		             shown(text_of(c->ours, "ignorable")));
	if (entries(managed) > 0) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "managedResources"), "none",
		             "remove it: pods without these resources never reach us",
		             "%zu, the first %s", entries(managed),
		             shown(text_of(managed->child, "name")));
	}
}

/* A Go duration ("200ms", "1m30s") in seconds; negative = none. */
static double duration_s(const char *text)
{
	static const struct {
		const char *unit;
		double s;
	} units[] = {
		{ "ns", 1e-9 }, { "us", 1e-6 }, { "\xc2\xb5s", 1e-6 }, { "ms", 1e-3 },
		{ "s", 1 },     { "m", 60 },    { "h", 3600 },
	};
	double sum = 0;

	if (strcmp(text, "0") == 0)
		return 0;
	if (text[0] == '\0')
		return -1;
	while (*text != '\0') {
		size_t digits = strspn(text, "0123456789.");
		size_t unit = strcspn(text + digits, "0123456789.");
		double value;
		double scale = 0;

		if (km_num_double(text, digits, &value) != 0)
			return -1;
		for (size_t i = 0; i < KM_ARRAY_LEN(units); i++) {
			if (strlen(units[i].unit) == unit &&
			    memcmp(units[i].unit, text + digits, unit) == 0)
				scale = units[i].s;
		}
		if (scale <= 0)
			return -1;
		sum += value * scale;
		text += digits + unit;
	}
	return sum;
}

static void check_timeout(struct check *c)
{
	static const char want[] = "200ms: the scheduling loop is serial and waits";
	const char *text = text_of(c->ours, "httpTimeout");
	double s = duration_s(text);

	if (text[0] == '\0' || s == 0) {
		findings_add(c->f, FINDING_WARNING, about_ours(c, "httpTimeout"), want,
		             "httpTimeout: 200ms", "%s, which means %d s", shown(text),
		             TIMEOUT_PRESET_S);
	} else if (s < 0) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "httpTimeout"), want,
		             "httpTimeout: 200ms", "%.60s: no duration", text);
	} else if (s > TIMEOUT_LONG_S) {
		findings_add(c->f, FINDING_WARNING, about_ours(c, "httpTimeout"), want,
		             "httpTimeout: 200ms", "%.60s: so long may each pod wait, twice", text);
	} else if (s < TIMEOUT_SHORT_S) {
		findings_add(c->f, FINDING_WARNING, about_ours(c, "httpTimeout"), want,
		             "httpTimeout: 200ms",
		             "%.60s: a busy machine takes longer, and the vote is lost", text);
	}
}

static void check_tls(struct check *c)
{
	const struct km_tree *tls = km_tree_get(c->ours, "tlsConfig");
	bool ca = text_of(tls, "caFile")[0] != '\0' || text_of(tls, "caData")[0] != '\0';
	bool cert = text_of(tls, "certFile")[0] != '\0' || text_of(tls, "certData")[0] != '\0';
	bool enabled = is_true(c->ours, "enableHTTPS");
	struct doctor_url u;

	if (!doctor_url(text_of(c->ours, "urlPrefix"), &u))
		return;
	if (enabled && !u.https) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "enableHTTPS"),
		             "urlPrefix with https://: this key does not change the scheme",
		             "write https:// into urlPrefix", "true, with %.80s",
		             text_of(c->ours, "urlPrefix"));
	}
	if (!u.https)
		return;
	if (enabled && !ca)
		findings_add(c->f, FINDING_ERROR, about_ours(c, "tlsConfig"), "caFile or caData",
		             "name the CA of listen.tls.cert",
		             "no CA: kube-scheduler then checks no certificate at all");
	if (!enabled && !ca) {
		findings_add(c->f, FINDING_ERROR, about_ours(c, "enableHTTPS"),
		             "true, with tlsConfig.caFile", "name the CA of listen.tls.cert",
		             "%s: only public CAs are trusted",
		             shown(text_of(c->ours, "enableHTTPS")));
	}
	if (is_true(tls, "insecure"))
		findings_add(c->f, FINDING_ERROR, about_ours(c, "tlsConfig.insecure"), "false",
		             "remove it, and name the CA", "true: whoever answers is believed");
	if (c->in->settings != NULL && c->in->settings->tls_client_ca[0] != '\0' && !cert)
		findings_add(c->f, FINDING_ERROR, about_ours(c, "tlsConfig.certFile"),
		             "a certificate of listen.tls.clientCA", "set certFile and keyFile",
		             "nothing: kubemarlad answers 403");
}

/* ---- the rest of the file -------------------------------------------------------------------- */

static const struct km_tree *profile_named(const struct check *c, const char *name)
{
	const struct km_tree *list = km_tree_get(c->root, "profiles");

	for (const struct km_tree *i = list != NULL ? list->child : NULL; i != NULL; i = i->next) {
		if (strcmp(text_of(i, "schedulerName"), name) == 0)
			return i;
	}
	return NULL;
}

static void check_profile(struct check *c)
{
	const struct km_tree *list = km_tree_get(c->root, "profiles");

	if (profile_named(c, "kubemarla") == NULL) {
		findings_add(c->f, FINDING_WARNING, about(c, "profiles"),
		             "one with schedulerName: kubemarla",
		             "add it, or give pods the schedulerName that there is",
		             "%zu, the first %s", entries(list),
		             list != NULL && list->child != NULL
		                     ? shown(text_of(list->child, "schedulerName"))
		                     : "default-scheduler");
	}
}

static void check_lease(struct check *c)
{
	const struct km_tree *e = km_tree_get(c->root, "leaderElection");
	const char *name = text_of(e, "resourceName");
	const char *space = text_of(e, "resourceNamespace");
	bool stock = km_tree_get(c->root, "profiles") == NULL ||
	             profile_named(c, "default-scheduler") != NULL;

	if (name[0] == '\0')
		name = "kube-scheduler";
	if (space[0] == '\0')
		space = "kube-system";
	c->seen->elects = strcmp(text_of(e, "leaderElect"), "false") != 0;
	(void)snprintf(c->seen->lease_name, sizeof(c->seen->lease_name), "%s", name);
	(void)snprintf(c->seen->lease_namespace, sizeof(c->seen->lease_namespace), "%s", space);
	if (c->seen->elects && !stock && strcmp(name, "kube-scheduler") == 0 &&
	    strcmp(space, "kube-system") == 0) {
		findings_add(c->f, FINDING_ERROR, about(c, "leaderElection"),
		             "a Lease of its own: resourceNamespace and resourceName",
		             "resourceNamespace: kubemarla-system, resourceName: "
		             "kubemarla-scheduler",
		             "Lease %s/%s, which the stock scheduler holds: this one never leads",
		             space, name);
	}
	if (!c->seen->elects)
		findings_add(c->f, FINDING_NOTE, about(c, "leaderElection.leaderElect"),
		             "true where more than one replica runs", "",
		             "false: two replicas would schedule the same pods");
}

void doctor_scheduler(const struct doctor_scheduler *s, struct findings *f,
                      struct doctor_seen *seen)
{
	static void (*const of_extender[])(struct check *) = {
		check_url, check_verbs, check_weight, check_flags, check_timeout, check_tls,
	};
	struct check c = { .in = s, .f = f, .seen = seen };
	struct km_tree_doc *doc = NULL;
	struct km_err err = { .code = 0 };

	*seen = (struct doctor_seen){ .elects = true };
	if (km_tree_parse(s->name, s->text, s->len, &doc, &err) != 0) {
		findings_add(f, FINDING_ERROR, about(&c, "the file"), "YAML",
		             "kube-scheduler would not start", "%s", err.text);
		return;
	}
	c.root = km_tree_root(doc);
	if (strcmp(text_of(c.root, "kind"), "KubeSchedulerConfiguration") != 0 ||
	    strcmp(text_of(c.root, "apiVersion"), API_VERSION) != 0) {
		findings_add(f, FINDING_ERROR, about(&c, "kind"),
		             "KubeSchedulerConfiguration of " API_VERSION,
		             "kube-scheduler would not start", "%.60s of %.60s",
		             shown(text_of(c.root, "kind")), shown(text_of(c.root, "apiVersion")));
		km_tree_free(doc);
		return;
	}
	check_profile(&c);
	check_lease(&c);
	choose(&c);
	for (size_t i = 0; i < KM_ARRAY_LEN(of_extender) && c.ours != NULL; i++)
		of_extender[i](&c);
	km_tree_free(doc);
}
