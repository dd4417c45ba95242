#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Dies of a signal without a word.
kill -9 $$
