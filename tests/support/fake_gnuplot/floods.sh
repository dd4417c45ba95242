#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Draws without end.
exec yes "<svg></svg>"
