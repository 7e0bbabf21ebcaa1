#!/usr/bin/env bash
# Runs a command where containers can run, as root: in mount and network namespaces of its own, without the empty
# cgroup v2 that some machines mount beside v1 (crun takes it for a half configured one). Bridges, routes, firewall
# rules and mounts end with it; nothing else on the machine is touched.
set -euo pipefail
if [ -z "${EGRET_OWN_NAMESPACE:-}" ]; then
  exec env EGRET_OWN_NAMESPACE=1 unshare --mount --propagation private --net "$0" "$@"
fi
if mountpoint -q /sys/fs/cgroup/unified; then
  umount /sys/fs/cgroup/unified
fi
ip link set lo up
exec "$@"
