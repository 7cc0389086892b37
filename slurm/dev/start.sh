#!/usr/bin/env bash
# Start a private SLURM of one node on this machine, for trying things out and for `make test-slurm` (Debian or Ubuntu).
# It is real: slurmctld, slurmd and munged of the distribution, with ports, keys and state of their own, so that nothing
# of a SLURM that the machine may belong to is touched. Running it twice starts only what is not alive.
#   SLURM_DEV_DIR   where state, keys and logs go   (default: /tmp/lit-outpaint-slurm-UID)
#   SLURM_DEV_CPUS  processors the node offers      (default: those of the machine)
#   SLURM_DEV_PORT  first of two free ports         (default: 26817)
# Afterwards:  . $SLURM_DEV_DIR/env.sh   lets sbatch, squeue and `python -m slurm` find it.  stop.sh ends it.
set -euo pipefail
state=${SLURM_DEV_DIR:-/tmp/lit-outpaint-slurm-$(id -u)}
# Not nproc: it answers OMP_NUM_THREADS where that is set.
cpus=${SLURM_DEV_CPUS:-$(getconf _NPROCESSORS_ONLN)}
port=${SLURM_DEV_PORT:-26817}
me=$(id -un)
node=$(hostname -s)
export PATH=$PATH:/usr/sbin

fail() { echo "start.sh: $*" >&2; exit 2; }

install_packages() {
  local missing=() pair log
  for pair in slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client munged:munge; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null \
    || fail "needs the packages ${missing[*]}; install them (apt-get install ${missing[*]}), or run this as root on Debian"
  log=$(mktemp)
  # A freshly installed service must not start by itself: we start our own.
  { apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null \
    || { tail -n 5 "$log" >&2; rm -f "$log"; fail "cannot install ${missing[*]}"; }
  rm -f "$log"
}

# A process counts as alive when its pid file names a process of that name which is no zombie: pids get used again.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && grep -qs "^$pid ($2.*) [^ZX]" "/proc/$pid/stat"
}

install_packages
# Ranks find each other by the name of the node.
getent hosts "$node" >/dev/null || fail "the machine's own name must resolve; add '127.0.0.1 $node' to /etc/hosts"
mkdir -p "$state"/{controller,node,log,munge,socket}
chmod 755 "$state" "$state/socket"
chmod 700 "$state/munge"
socket=$state/socket/munge

# CredType and cred_expire: a requeued job waits until the credential of its first start has expired (else 120 s).
# linuxproc, task/none and jobacct_gather/none: what works without systemd and cgroups, in a container too.
cat >"$state/slurm.conf" <<CONF
ClusterName=lit-outpaint-dev
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$socket,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=300
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=$node MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
CONF
cat >"$state/env.sh" <<ENV
export SLURM_CONF=$state/slurm.conf
export PATH=\$PATH:/usr/sbin
ENV
export SLURM_CONF=$state/slurm.conf

if ! alive "$state/munged.pid" munged; then
  [ -s "$state/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$state/munge/key")
  rm -f "$socket" "$socket.lock"
  munged --force --num-threads=2 --socket="$socket" --key-file="$state/munge/key" --pid-file="$state/munged.pid" \
    --seed-file="$state/munge/seed" --log-file="$state/log/munged.log" \
    || fail "munged did not start; see $state/log/munged.log"
fi
alive "$state/slurmctld.pid" slurmctld || slurmctld || fail "slurmctld did not start; see $state/log/slurmctld.log"
alive "$state/slurmd.pid" slurmd || slurmd -N "$node" || fail "slurmd did not start; see $state/log/slurmd.log"

# Long enough for a machine that is busy with other things.
for _ in $(seq 1500); do
  if [ -n "$(timeout 30 sinfo -h -p main -t idle,mix,alloc -o %N 2>/dev/null)" ]; then
    echo "ready: . $state/env.sh"
    exit 0
  fi
  sleep 0.2
done
fail "the node did not come up; see $state/log"
