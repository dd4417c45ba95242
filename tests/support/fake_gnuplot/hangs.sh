#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Never ends, and says nothing.
exec tail -f /dev/null
