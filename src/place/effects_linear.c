/* SPDX-License-Identifier: Apache-2.0 */
/* Small symmetric systems, packed. Sums run in a fixed order: same input, same bits. */
#include <math.h>

#include "effects_internal.h"

bool effects_factor(double *a, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double *row = a + effects_packed(i, 0);

		for (size_t j = 0; j <= i; j++) {
			const double *other = a + effects_packed(j, 0);
			double rest = row[j] - effects_dot(row, other, j);

			if (j < i)
				row[j] = rest / other[j];
			else if (rest > 0 && isfinite(rest))
				row[j] = sqrt(rest);
			else
				return false;
		}
	}
	return true;
}

void effects_solve(const double *factor, size_t n, double *b)
{
	for (size_t i = 0; i < n; i++) {
		const double *row = factor + effects_packed(i, 0);

		b[i] = (b[i] - effects_dot(row, b, i)) / row[i];
	}
	for (size_t i = n; i-- > 0;) {
		double rest = b[i];

		for (size_t j = i + 1; j < n; j++)
			rest -= factor[effects_packed(j, i)] * b[j];
		b[i] = rest / factor[effects_packed(i, i)];
	}
}

void effects_invert(const double *factor, size_t n, double *out)
{
	double column[EFFECTS_INPUTS];

	for (size_t j = 0; j < n; j++) {
		for (size_t i = 0; i < n; i++)
			column[i] = i == j ? 1 : 0;
		effects_solve(factor, n, column);
		for (size_t i = j; i < n; i++)
			out[effects_packed(i, j)] = column[i];
	}
}

void effects_times(const double *a, size_t n, const double *x, double *out)
{
	for (size_t i = 0; i < n; i++)
		out[i] = 0;
	for (size_t i = 0; i < n; i++) {
		const double *row = a + effects_packed(i, 0);

		for (size_t j = 0; j < i; j++) {
			out[i] += row[j] * x[j];
			out[j] += row[j] * x[i];
		}
		out[i] += row[i] * x[i];
	}
}

double effects_dot(const double *a, const double *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}
