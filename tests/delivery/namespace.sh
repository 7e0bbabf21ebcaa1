#!/usr/bin/env bash
# Runs a command where containers can run, as root: in a mount namespace of its own, without the empty cgroup v2 that
# some machines mount beside v1 (crun takes it for a half configured one). Nothing else on the machine is touched.
set -euo pipefail
if [ -z "${EGRET_OWN_NAMESPACE:-}" ]; then
  exec env EGRET_OWN_NAMESPACE=1 unshare --mount --propagation private "$0" "$@"
fi
if grep -qs . /sys/fs/cgroup/unified/cgroup.controllers || [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then
  umount /sys/fs/cgroup/unified
fi
exec "$@"
