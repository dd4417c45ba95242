/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "lab_internal.h"

int km_lab_tell(const struct km_err *err)
{
	fprintf(stderr, "kubemarla-lab: %s\n", err->text);
	return KM_COMMAND_FAILED;
}
