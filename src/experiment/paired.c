/* SPDX-License-Identifier: Apache-2.0 */
/* Sums by cluster, bootstrap samples of clusters, the bounds they give, and a word for them. */
#include "km/experiment/paired.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "km/base/rng.h"
#include "km/core/bootstrap.h"

#define LEVEL 0.025 /* of each side of the interval */

struct cluster {
	uint32_t number;
	double sum;
	size_t count;
};

/* Memory of one comparison. */
struct work {
	struct cluster *cluster; /* [clusters], in the order of their first pair */
	size_t clusters;
	uint32_t *drawn;  /* [clusters] */
	double *distance; /* [rounds], from the mean, in standard errors */
};

const char *km_verdict_text(enum km_verdict v)
{
	static const char *const texts[] = {
		[KM_VERDICT_NONE] = "no difference shown",
		[KM_VERDICT_LOWER] = "lower",
		[KM_VERDICT_HIGHER] = "higher",
		[KM_VERDICT_TOO_FEW] = "too few repeats",
	};

	return texts[v];
}

static struct cluster *cluster_of(struct work *w, uint32_t number)
{
	size_t i = 0;

	while (i < w->clusters && w->cluster[i].number != number) {
		i++;
	}
	if (i == w->clusters) {
		w->cluster[w->clusters++] = (struct cluster){ .number = number };
	}
	return &w->cluster[i];
}

static int gather(struct work *w, const struct km_pair *pair, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct cluster *c = cluster_of(w, pair[i].cluster);

		if (!isfinite(pair[i].difference)) {
			return -EINVAL;
		}
		w->drawn[c - w->cluster] = 1; /* all of them once: what was measured */
		c->sum += pair[i].difference;
		c->count++;
	}
	return 0;
}

/* The mean of the clusters as often as each was drawn, and its standard error. */
static void estimate(const struct work *w, double *mean, double *error)
{
	double n = (double)w->clusters;
	double sum = 0;
	double count = 0;
	double squares = 0;

	for (size_t c = 0; c < w->clusters; c++) {
		sum += w->drawn[c] * w->cluster[c].sum;
		count += w->drawn[c] * (double)w->cluster[c].count;
	}
	*mean = sum / count;
	for (size_t c = 0; c < w->clusters; c++) {
		double apart = w->cluster[c].sum - *mean * (double)w->cluster[c].count;

		squares += w->drawn[c] * apart * apart;
	}
	*error = sqrt(n / (n - 1) * squares) / count;
}

/* In a sample of one cluster alone there is no error, and no distance is large enough. */
static double distance(double from, double mean, double error)
{
	if (mean == from) {
		return 0;
	}
	return error > 0 ? (mean - from) / error : copysign(INFINITY, mean - from);
}

static enum km_verdict judge(const struct km_paired *p)
{
	if (p->high < 0) {
		return KM_VERDICT_LOWER;
	}
	return p->low > 0 ? KM_VERDICT_HIGHER : KM_VERDICT_NONE;
}

static void interval(struct work *w, uint32_t rounds, uint64_t seed, double error,
                     struct km_paired *out)
{
	struct km_rng rng;
	double low;
	double high;

	km_rng_init(&rng, seed);
	for (uint32_t r = 0; r < rounds; r++) {
		double sample_mean;
		double sample_error;

		km_bootstrap_draw(&rng, (uint32_t)w->clusters, w->drawn);
		estimate(w, &sample_mean, &sample_error);
		w->distance[r] = distance(out->mean, sample_mean, sample_error);
	}
	km_bootstrap_bounds(w->distance, rounds, LEVEL, 1 - LEVEL, &low, &high);
	out->low = error > 0 ? out->mean - high * error : out->mean;
	out->high = error > 0 ? out->mean - low * error : out->mean;
}

int km_paired_compare(const struct km_pair *pair, size_t count, uint32_t rounds, uint64_t seed,
                      struct km_paired *out)
{
	struct work w = {
		.cluster = calloc(count + 1, sizeof(*w.cluster)),
		.drawn = calloc(count + 1, sizeof(*w.drawn)),
		.distance = calloc(rounds, sizeof(*w.distance)),
	};
	double error = NAN;
	int rc = -ENOMEM;

	*out = (struct km_paired){ .pairs = count, .mean = NAN, .low = NAN, .high = NAN };
	out->verdict = KM_VERDICT_TOO_FEW;
	if (w.cluster == NULL || w.drawn == NULL || w.distance == NULL) {
		goto out;
	}
	rc = gather(&w, pair, count);
	out->clusters = w.clusters;
	if (rc != 0 || count == 0) {
		goto out;
	}
	estimate(&w, &out->mean, &error);
	if (w.clusters < KM_PAIRED_CLUSTERS_MIN) {
		goto out;
	}
	interval(&w, rounds, seed, error, out);
	out->verdict = judge(out);
out:
	free(w.distance);
	free(w.drawn);
	free(w.cluster);
	return rc;
}
