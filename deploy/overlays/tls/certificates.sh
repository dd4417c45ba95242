#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes a CA and the two certificates that the overlay wants: certificates.sh DIR [DAYS]
#
#   DIR/ca.crt, ca.key                  the CA: keep the key away from the cluster
#   DIR/kubemarla-agent.{crt,key}       of agents, for the name kubemarla-agent
#   DIR/kubemarla-scheduler.{crt,key}   of the scheduler pod, as a server and as a client
#
# Run it again to renew the certificates: a CA that is there stays. The commands that make Secrets of
# them are printed.
set -eu

dir=${1:?usage: certificates.sh DIR [DAYS]}
days=${2:-365}
umask 077
mkdir -p "$dir"

if [ ! -f "$dir/ca.key" ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
		-subj '/CN=KubeMarla' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
		-keyout "$dir/ca.key" -out "$dir/ca.crt" 2>/dev/null
fi
for name in kubemarla-agent kubemarla-scheduler; do
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
		-keyout "$dir/$name.key" -out "$dir/$name.csr" 2>/dev/null
	printf '%s\n' "subjectAltName=DNS:$name,IP:127.0.0.1" 'keyUsage=critical,digitalSignature' \
		'extendedKeyUsage=serverAuth,clientAuth' >"$dir/extensions"
	openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -days "$days" \
		-set_serial "0x$(openssl rand -hex 16)" -extfile "$dir/extensions" -out "$dir/$name.crt" 2>/dev/null
	rm -f "$dir/$name.csr" "$dir/extensions"
	openssl verify -CAfile "$dir/ca.crt" "$dir/$name.crt" >/dev/null
done

# Such that they also replace the Secrets of an earlier time.
for name in kubemarla-agent kubemarla-scheduler; do
	cat <<-TEXT
		kubectl create secret generic $name-tls -n kubemarla-system --from-file=tls.crt="$dir/$name.crt" \\
		  --from-file=tls.key="$dir/$name.key" --from-file=ca.crt="$dir/ca.crt" \\
		  --dry-run=client -o yaml | kubectl apply --server-side -f -
	TEXT
done
