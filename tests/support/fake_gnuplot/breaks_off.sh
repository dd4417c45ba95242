#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Ends in the middle.
echo "<svg><g><path d="
