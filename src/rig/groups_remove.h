/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the groups: how one goes, with all that runs in it. */
#ifndef KM_RIG_GROUPS_REMOVE_H
#define KM_RIG_GROUPS_REMOVE_H

/* Kills what is in root/base and in the groups below it, and removes them. */
void groups_remove(const char *root, const char *base);

/* The same for every group below root that a dead lab left. */
void groups_remove_dead(const char *root, const char *procfs);

#endif
