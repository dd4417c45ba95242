/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Footprints learned from windows before and after pods started. Few samples, some of them of
 * something else that happened at the same time: so the middle half of them is what counts.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "km/place/footprint.h"

struct learned {
	char class_name[KM_CLASS_NAME_MAX]; /* "" = free */
	uint64_t used;
	uint32_t count; /* samples ever; the last KM_FOOTPRINT_SAMPLES_MAX are kept */
	float sample[KM_QUANTITY_N][KM_FOOTPRINT_SAMPLES_MAX];
};

struct km_footprints {
	uint64_t uses;
	struct learned class[KM_FOOTPRINT_CLASSES_MAX];
};

struct km_footprints *km_footprints_create(void)
{
	return calloc(1, sizeof(struct km_footprints));
}

void km_footprints_free(struct km_footprints *f)
{
	free(f);
}

static const struct learned *find(const struct km_footprints *f, const char *class_name)
{
	for (size_t i = 0; i < KM_FOOTPRINT_CLASSES_MAX; i++) {
		if (strcmp(f->class[i].class_name, class_name) == 0) {
			return &f->class[i];
		}
	}
	return NULL;
}

/* The class's slot, or that of the class learned from longest ago. */
static struct learned *claim(struct km_footprints *f, const char *class_name)
{
	struct learned *oldest = &f->class[0];

	for (size_t i = 0; i < KM_FOOTPRINT_CLASSES_MAX; i++) {
		if (strcmp(f->class[i].class_name, class_name) == 0) {
			return &f->class[i];
		}
		if (f->class[i].used < oldest->used) {
			oldest = &f->class[i];
		}
	}
	memset(oldest, 0, sizeof(*oldest));
	memcpy(oldest->class_name, class_name, strlen(class_name) + 1);
	return oldest;
}

void km_footprints_learn(struct km_footprints *f, const char *class_name,
                         const struct km_footprint_base *before,
                         const struct km_footprint_base *after)
{
	struct learned *l;
	uint32_t at;

	if (class_name[0] == '\0' || strnlen(class_name, KM_CLASS_NAME_MAX) == KM_CLASS_NAME_MAX) {
		return;
	}
	l = claim(f, class_name);
	at = l->count++ % KM_FOOTPRINT_SAMPLES_MAX;
	l->used = ++f->uses;
	for (int q = 0; q < KM_QUANTITY_N; q++) {
		bool of_host = q == KM_QUANTITY_READ_BYTES || q == KM_QUANTITY_WRITE_BYTES;
		double difference = of_host ? after->host[q] - before->host[q]
		                            : after->node[q] - before->node[q];

		l->sample[q][at] = isfinite(difference) ? (float)difference : NAN;
	}
}

static int ascending(const void *a, const void *b)
{
	float x = *(const float *)a;
	float y = *(const float *)b;

	return (x > y) - (x < y);
}

/* The mean of the middle half, and the spread by the width of that half. */
static void middle(const float *sample, uint32_t kept, double *mean, double *spread)
{
	/* between the quartiles of a normal distribution there are so many standard deviations */
	const double quartiles_sd = 1.349;
	float sorted[KM_FOOTPRINT_SAMPLES_MAX];
	uint32_t count = 0;
	uint32_t cut;
	double sum = 0;

	for (uint32_t i = 0; i < kept; i++) {
		if (!isnan(sample[i])) {
			sorted[count++] = sample[i];
		}
	}
	*mean = NAN;
	*spread = NAN;
	if (count < KM_FOOTPRINT_SAMPLES_MIN) {
		return;
	}
	qsort(sorted, count, sizeof(sorted[0]), ascending);
	/* At least one goes at each end: of three samples one may be anything. */
	cut = count / 4 > 0 ? count / 4 : 1;
	for (uint32_t i = cut; i < count - cut; i++) {
		sum += (double)sorted[i];
	}
	*mean = fmax(sum / (count - 2 * cut), 0);
	*spread = (double)(sorted[count - 1 - count / 4] - sorted[count / 4]) / quartiles_sd;
}

bool km_footprints_get(const struct km_footprints *f, const char *class_name,
                       struct km_footprint *out)
{
	const struct learned *l = class_name[0] != '\0' ? find(f, class_name) : NULL;
	bool any = false;
	uint32_t kept;

	if (l == NULL || l->count < KM_FOOTPRINT_SAMPLES_MIN) {
		return false;
	}
	kept = l->count < KM_FOOTPRINT_SAMPLES_MAX ? l->count : KM_FOOTPRINT_SAMPLES_MAX;
	out->count = kept;
	for (int q = 0; q < KM_QUANTITY_N; q++) {
		middle(l->sample[q], kept, &out->mean[q], &out->spread[q]);
		any = any || !isnan(out->mean[q]);
	}
	return any;
}
