/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of interference, each a load on one resource of a machine. */
#ifndef KM_STRESS_KIND_H
#define KM_STRESS_KIND_H

enum km_stress_kind {
	KM_STRESS_CPU,
	KM_STRESS_L2,
	KM_STRESS_L3,
	KM_STRESS_MEMBW,
	KM_STRESS_MIXED,
	KM_STRESS_KIND_N
};

/* "cpu", "l2", "l3", "membw", "mixed"; "?" for anything else. */
const char *km_stress_kind_name(enum km_stress_kind kind);

/* returns an enum km_stress_kind, or -1 when `text` is none. */
int km_stress_kind_parse(const char *text);

#endif
