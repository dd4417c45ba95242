#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Complains as gnuplot does: a blank line first, where the trouble is, status 1.
cat >&2 <<'EOF'

plot $data0
     ^
EOF
exit 1
