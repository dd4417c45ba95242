#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A generator whose report is none.
echo '{"requests":"many"}'
