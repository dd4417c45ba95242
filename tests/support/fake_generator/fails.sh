#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A generator that says why it does not work.
echo 'one thing, then' >&2
echo 'out of luck' >&2
exit 3
