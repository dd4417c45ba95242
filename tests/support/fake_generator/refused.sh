#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A generator that no request of is answered.
[ "$1" != report ] ||
	echo '{"latencies":{"mean":1,"50th":1,"90th":1,"95th":1,"99th":1,"max":1},"requests":5,"rate":5,"throughput":0,"success":0,"errors":["connection refused"]}'
