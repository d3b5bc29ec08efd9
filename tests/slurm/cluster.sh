#!/usr/bin/env bash
# A real SLURM cluster on this machine, for the tests: seven nodes behind one loopback address, with
# no systemd, no cgroups and no accounting database. Needs root; on Debian or Ubuntu it installs the
# packages that are missing.
#
#   cluster.sh start           install, configure, start; starts again what has died
#   cluster.sh stop            cancel the jobs, end the daemons, remove the folder
#   cluster.sh run COMMAND...  start, run the command, stop whatever happens
#
# All state is in $WAYBILL_CLUSTER (default: waybill-cluster in $TMPDIR), but for one link,
# /etc/slurm/slurm.conf: the Snakemake executor hides SLURM_CONF from its nested srun.
# Ports from $WAYBILL_CLUSTER_PORT (default 17400) on.
set -euo pipefail

DIR=${WAYBILL_CLUSTER:-${TMPDIR:-/tmp}/waybill-cluster}
PORT=${WAYBILL_CLUSTER_PORT:-17400}
NODES=(n1 n2 n3 n4 n5 n6 n7)
LINK=/etc/slurm/slurm.conf
export WAYBILL_CLUSTER=$DIR SLURM_CONF=$DIR/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

fail() {
    echo "cluster: $*" >&2
    exit 1
}

# Poll for SECONDS until a command succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

# A recorded pid counts as long as it is the program that was started, and no zombie of it.
alive() { # NAME PROGRAM
    local pid
    pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) || return 1
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == "$2" ]] && ! grep -q '^State:.Z' "/proc/$pid/status"
}

install_packages() {
    local wanted=(munge slurm-client slurmctld slurmd bindfs) missing=() package made=""
    for package in "${wanted[@]}"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    echo "cluster: installing ${missing[*]}" >&2
    # The packages must not start daemons of their own.
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then
        made=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >$made
        chmod +x $made
    fi
    local done=yes
    { apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"; } \
        >"$DIR/log/apt.log" 2>&1 || done=""
    [[ -z $made ]] || rm -f "$made"
    [[ $done ]] || { tail -5 "$DIR/log/apt.log" >&2 && fail "apt-get failed, see $DIR/log/apt.log"; }
}

# The tests read the records of ended jobs (MinJobAge); waits are shortened (cred_expire is how long a
# requeued job waits). Nodes may claim more CPUs and memory than the machine has. Jobs are spread
# over the nodes (CR_LLN); n5 and n6 are for a test that loses one, and on n7 the jobs of `urgent`
# preempt those of `spare`.
configure() {
    local host
    host=$(hostname -s)
    cat >"$SLURM_CONF" <<CONF
ClusterName=waybill
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$DIR/run/munge.socket,cred_expire=30
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory,CR_LLN
AccountingStorageType=accounting_storage/none
MinJobAge=3600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
OverTimeLimit=0
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
ReturnToService=2
CompleteWait=0
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/run/slurmctld.pid
SlurmdPidFile=$DIR/run/%n.pid
SlurmctldLogFile=$DIR/log/slurmctld.log
SlurmdLogFile=$DIR/log/%n.log
NodeName=n[1-7] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((PORT + 1))-$((PORT + 7))] CPUs=16 RealMemory=32768
PartitionName=main    Nodes=n[1-4] Default=YES MaxTime=INFINITE DefaultTime=60
PartitionName=transfer Nodes=n4    MaxTime=INFINITE DefaultTime=60
PartitionName=fragile Nodes=n[5-6] MaxTime=INFINITE DefaultTime=60
PartitionName=spare   Nodes=n7     MaxTime=INFINITE DefaultTime=60 PriorityTier=1
PartitionName=urgent  Nodes=n7     MaxTime=INFINITE DefaultTime=60 PriorityTier=10
CONF
}

all_up() { [[ $(sinfo -h -N -t idle,alloc,mix -o %N | sort -u | wc -l) -eq ${#NODES[@]} ]]; }

start() {
    [[ $(id -u) == 0 ]] || fail "SLURM's daemons need root"
    command -v apt-get >/dev/null || fail "not a Debian system: no apt-get"
    install -d -m 755 "$DIR" "$DIR"/{run,log,state,spool}
    install_packages
    [[ ! -e $LINK || $(readlink "$LINK") == "$SLURM_CONF" ]] || fail "$LINK belongs to another cluster"
    alive slurmctld slurmctld || configure
    mkdir -p "$(dirname $LINK)" && ln -sfn "$SLURM_CONF" $LINK
    if ! alive munged munged; then
        (umask 077 && head -c 1024 /dev/urandom >"$DIR/munge.key")
        rm -f "$DIR"/run/munge.socket*
        munged --force --key-file="$DIR/munge.key" --socket="$DIR/run/munge.socket" \
            --pid-file="$DIR/run/munged.pid" --log-file="$DIR/log/munged.log" \
            --seed-file="$DIR/state/munge.seed" 2>>"$DIR/log/munged.err"
        within 10 munge -n -S "$DIR/run/munge.socket" || fail "munged: see $DIR/log"
    fi
    alive slurmctld slurmctld || slurmctld
    within 20 timeout 5 scontrol ping || fail "slurmctld: see $DIR/log"
    local node
    for node in "${NODES[@]}"; do
        mkdir -p "$DIR/spool/$node"
        alive "$node" slurmd || slurmd -N "$node"
    done
    within 30 all_up || fail "not all nodes came up, see $DIR/log"
}

end() { # NAME PROGRAM
    alive "$@" || return 0
    local pid
    pid=$(cat "$DIR/run/$1.pid")
    kill "$pid"
    gone() { ! kill -0 "$pid" || grep -q '^State:.Z' "/proc/$pid/status"; }
    within 15 gone || kill -9 "$pid" || true
}

stop() {
    [[ -d $DIR ]] || return 0
    # Jobs would outlive their slurmd: cancel them while someone can.
    if alive slurmctld slurmctld; then
        squeue -h -o %i | xargs -r scancel --quiet || true
        none_left() { [[ -z $(squeue -h -t PD,R,CG,S) ]]; }
        within 20 none_left || echo "cluster: some jobs did not end" >&2
    fi
    local node
    for node in "${NODES[@]}"; do
        end "$node" slurmd
    done
    end slurmctld slurmctld
    end munged munged
    [[ $(readlink $LINK 2>/dev/null) != "$SLURM_CONF" ]] || rm -f $LINK
    rm -rf -- "$DIR"
}

case ${1:-} in
start | stop) "$1" ;;
run)
    shift
    trap stop EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start
    "$@"
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
