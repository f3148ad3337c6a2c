#!/bin/bash
# First process of the private engine's namespaces (network, mount, process): a Docker engine that no packet leaves.
# Arguments: the folder of its sockets, the folder of its data, the ports that the host may reach, then "compat" where
# root lacks CAP_SYS_RESOURCE.
set -euo pipefail
sockets=$1 data=$2 ports=$3 mode=${4:-}
here=$(cd "$(dirname "$0")" && pwd)

mount -t tmpfs tmpfs /run
ip link set lo up # and no other interface: nothing leads out of here

# Without nodelay, small messages either way may wait 40 ms for an acknowledgement.
for port in $ports; do
  rm -f "$sockets/$port.sock"
  socat "UNIX-LISTEN:$sockets/$port.sock,fork" "TCP:127.0.0.1:$port,nodelay" &
done

runtime=()
if [ "$mode" = compat ]; then
  runtime=(--add-runtime "compat=$here/runc-without-resource-cap" --default-runtime compat)
fi
exec dockerd "${runtime[@]}" --data-root "$data" --exec-root /run/docker-exec --pidfile /run/docker.pid \
  --host "unix://$sockets/docker.sock" --ip6tables=false
