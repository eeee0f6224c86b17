#!/usr/bin/env bash
# A SLURM of this machine's own, for the tests: tests/slurm/cluster.sh install | start FOLDER | stop FOLDER
#
# Needs root and a Debian (or a descendant) with apt. Everything that SLURM and munge write goes into FOLDER; nothing is
# put into /etc, and no service of the system is used. `start` prints the variable that leads to the cluster; it may be
# called twice. Two nodes are two daemons on this machine. Accounting is off, and cgroups are not used.
set -euo pipefail

usage() {
  echo "usage: $0 install | start FOLDER | stop FOLDER" >&2
  exit 2
}

install() { # the packages, unless they are there
  command -v slurmctld slurmd munged >/dev/null && return
  # A package may start services: here it must not
  local policy=/usr/sbin/policy-rc.d own=
  [[ -e $policy ]] || { own=yes; printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; }
  local done=0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    slurm-wlm munge; } >&2 || done=$?
  [[ -z $own ]] || rm -f "$policy"
  return "$done"
}

write_config() { # FOLDER
  local folder=$1 host memory cores
  host=$(hostname -s)
  cores=${SLURM_TEST_CORES:-4} # jobs at a time; more than the machine may have, since what they train is small
  memory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 / 4))
  cat >"$folder/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its credential has expired: 120 s by default
AuthInfo=socket=$folder/munge/munge.socket,cred_expire=5
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
# Jobs of a partition with a higher tier take the place of others, which are warned, requeued and go on later
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=10
MinJobAge=600
JobRequeue=1
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=alpha NodeHostname=$host NodeAddr=127.0.0.1 Port=26821 CPUs=$cores RealMemory=$memory State=UNKNOWN
NodeName=beta NodeHostname=$host NodeAddr=127.0.0.1 Port=26822 CPUs=$cores RealMemory=$memory State=UNKNOWN
PartitionName=normal Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
END
}

alive() { # PID-FILE PROGRAM: whether the process of this file runs, and is that program
  [[ -s $1 ]] && [[ $(cat "/proc/$(cat "$1" 2>/dev/null)/comm" 2>/dev/null) == "$2" ]]
}

wait_for() { # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

both_nodes_up() {
  [[ $(sinfo --noheader --Node --format=%T --partition=normal | grep -cE 'idle|mixed|alloc') == 2 ]]
}

is_gone() { # PID
  ! kill -0 "$1"
}

queue_is_empty() {
  [[ -z $(squeue --noheader) ]]
}

start() { # FOLDER
  local folder
  mkdir -p "$1"
  folder=$(realpath "$1")
  export SLURM_CONF=$folder/slurm.conf
  mkdir -p "$folder"/{state,log,munge,spool-alpha,spool-beta}
  chmod 755 "$folder" "$folder/munge"
  write_config "$folder"
  if ! alive "$folder/munge/munged.pid" munged; then
    dd if=/dev/urandom of="$folder/munge/munge.key" bs=1024 count=1 status=none
    chown -R munge: "$folder/munge"
    chmod 400 "$folder/munge/munge.key"
    setpriv --reuid=munge --regid=munge --init-groups munged --force --socket="$folder/munge/munge.socket" \
      --pid-file="$folder/munge/munged.pid" --log-file="$folder/munge/munged.log" \
      --seed-file="$folder/munge/munged.seed" --key-file="$folder/munge/munge.key"
  fi
  alive "$folder/slurmctld.pid" slurmctld || slurmctld -c
  local node
  for node in alpha beta; do
    alive "$folder/slurmd-$node.pid" slurmd || slurmd -N "$node"
  done
  if ! wait_for 30 both_nodes_up; then
    echo "the nodes do not come up; see $folder/log" >&2
    tail -n 5 "$folder"/log/*.log >&2
    return 1
  fi
  echo "export SLURM_CONF=$SLURM_CONF"
}

stop() { # FOLDER: jobs, daemons, and what is left of them
  [[ -d $1 ]] || return 0
  local folder file program pid
  folder=$(realpath "$1")
  export SLURM_CONF=$folder/slurm.conf
  if alive "$folder/slurmctld.pid" slurmctld; then
    timeout 10 scancel --signal=KILL --full --user=root 2>/dev/null || true
    timeout 10 scancel --user=root 2>/dev/null || true
    wait_for 15 queue_is_empty || true
  fi
  for file in "$folder"/slurmd-{alpha,beta}.pid "$folder/slurmctld.pid" "$folder/munge/munged.pid"; do
    program=$(basename "$file" .pid)
    program=${program%%-*}
    alive "$file" "$program" || continue
    pid=$(cat "$file") # which the daemon removes
    kill "$pid"
    wait_for 10 is_gone "$pid" || kill -KILL "$pid" || true
  done
}

case ${1:-} in
  install) install ;;
  start | stop) [[ -n ${2:-} ]] || usage; "$1" "$2" ;;
  *) usage ;;
esac
