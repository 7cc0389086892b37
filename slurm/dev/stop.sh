#!/usr/bin/env bash
# End the SLURM that start.sh started: first its jobs, then its daemons, each by the pid it wrote down.
#   --wipe  also removes its state
set -uo pipefail
state=${SLURM_DEV_DIR:-/tmp/lit-outpaint-slurm-$(id -u)}
export PATH=$PATH:/usr/sbin SLURM_CONF=$state/slurm.conf

if [ -f "$SLURM_CONF" ] && timeout 30 scontrol ping 2>/dev/null | grep -q UP; then
  timeout 30 scancel --quiet --user="$(id -un)"
  for _ in $(seq 300); do
    [ -z "$(timeout 30 squeue -h 2>/dev/null)" ] && break
    sleep 0.2
  done
fi

stop() { # name of the daemon; its pid file is named after it
  local pid file=$state/$1.pid
  pid=$(cat "$file" 2>/dev/null) || return 0
  running() { grep -qs "^$pid ($1.*) [^ZX]" "/proc/$pid/stat"; }
  if running "$1"; then
    kill -TERM "$pid"
    for _ in $(seq 150); do
      running "$1" || break
      sleep 0.2
    done
    running "$1" && kill -KILL "$pid"
  fi
  rm -f "$file"
}

for daemon in slurmd slurmctld munged; do stop "$daemon"; done
[ "${1:-}" = --wipe ] && rm -rf -- "$state"
exit 0
