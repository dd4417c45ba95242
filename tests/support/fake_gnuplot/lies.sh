#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Something else than a drawing.
echo "<svg><g><script>alert(1)</script></g></svg>"
