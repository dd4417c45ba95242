#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A generator that goes on until somebody ends it.
[ "$1" != -version ] || exit 0
exec sleep 1000
