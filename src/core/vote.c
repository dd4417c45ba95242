/* SPDX-License-Identifier: Apache-2.0 */
/* The extender's vote against those of the plugins. */
#include "km/core/vote.h"

#define POINTS_PER_SCORE 10.0  /* MaxNodeScore 100 / MaxExtenderPriority 10 */
#define PLUGIN_POINTS    100.0 /* MaxNodeScore */

void km_vote_count(double weight, uint32_t scale, double in_tree_weight, struct km_vote *out)
{
	double points = weight * POINTS_PER_SCORE * scale;
	double in_tree = in_tree_weight * PLUGIN_POINTS;

	*out = (struct km_vote){
		.weight = weight,
		.points_per_score = weight * POINTS_PER_SCORE,
		.points = points,
		.in_tree_points = in_tree,
		.share = points + in_tree > 0 ? points / (points + in_tree) : 0,
	};
}
