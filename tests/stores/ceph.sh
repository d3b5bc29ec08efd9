#!/usr/bin/env bash
# Ceph's S3 gateway on this machine, for the tests: one monitor, one OSD that keeps all in memory,
# and radosgw, on loopback, without systemd. Needs root; on Debian or Ubuntu it installs the
# packages that are missing.
#
#   ceph.sh start FOLDER PORT ACCESS_KEY SECRET_KEY    the gateway listens at PORT
#   ceph.sh stop FOLDER                                end the daemons
#
# Exit code 3 with one line: it cannot be installed here.
set -euo pipefail

HOST=127.0.0.1
FSID=5d0a3a5e-2b5c-4f0e-9d0e-0c6f2a6b7a11
DIR=${2:?}
DAEMONS=(client.admin:radosgw osd.0:ceph-osd mon.a:ceph-mon)
export CEPH_CONF=$DIR/ceph.conf
PATH=$PATH:/usr/sbin:/sbin

# Poll for SECONDS until a command succeeds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.3
    done
}

fail() {
    echo "ceph: $1" >&2
    exit "${2:-1}"
}

install_packages() {
    local missing=() package made=""
    for package in ceph-mon ceph-osd radosgw curl; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
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
    [[ $done ]] || fail "${missing[*]} cannot be installed: $(tail -n 1 "$DIR/log/apt.log")" 3
}

configure() { # PORT; the monitor and the OSD take the ports after it
    cat >"$CEPH_CONF" <<CONF
[global]
fsid = $FSID
mon_host = v2:$HOST:$(($1 + 1))
public_addr = $HOST
cluster_addr = $HOST
ms_bind_port_min = $(($1 + 2))
ms_bind_port_max = $(($1 + 40))
mon_allow_pool_size_one = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = 4294967296
keyring = $DIR/keyring
mon_data = $DIR/mon
osd_data = $DIR/osd
rgw_data = $DIR/rgw
run_dir = $DIR/run
crash_dir = $DIR/crash
log_file = $DIR/log/\$name.log
pid_file = $DIR/run/\$name.pid
admin_socket = $DIR/run/\$name.asok
rgw_frontends = beast endpoint=$HOST:$1
CONF
}

start() { # PORT ACCESS_KEY SECRET_KEY
    mkdir -p "$DIR"/{mon,osd,rgw,run,log,crash}
    [[ $(id -u) == 0 ]] || fail "its daemons need root" 3
    command -v apt-get >/dev/null || fail "not a Debian system: no apt-get" 3
    install_packages
    configure "$1"
    local osd=2f6f1d2e-1111-4a5b-8c8c-3c0d6ef1a001
    exec 3>&1 >>"$DIR/log/start.log" 2>&1
    ceph-authtool --create-keyring "$DIR/keyring" --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool "$DIR/keyring" --gen-key -n osd.0 --cap mon 'allow *' --cap osd 'allow *'
    ceph-authtool "$DIR/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
    monmaptool --create --addv a "[v2:$HOST:$(($1 + 1))]" --fsid $FSID "$DIR/monmap"
    ceph-mon -i a --mkfs --monmap "$DIR/monmap" --keyring "$DIR/keyring"
    ceph-mon -i a
    within 120 timeout 60 ceph osd new $osd || fail "the monitor did not answer"
    ceph-osd -i 0 --mkfs --osd-uuid $osd
    ceph-osd -i 0
    up() { timeout 30 ceph osd stat | grep -q '1 up'; }
    within 120 up || fail "the OSD did not come up"
    timeout 240 radosgw-admin user create --uid=waybill --display-name=waybill \
        --access-key="$2" --secret-key="$3"
    radosgw -n client.admin
    within 240 curl -sf "http://$HOST:$1/" || fail "radosgw did not answer"
}

# A recorded pid counts as long as it is the program that was started, and no zombie of it.
alive() { # PID PROGRAM
    [[ $(cat "/proc/$1/comm" 2>/dev/null) == "$2" ]] && ! grep -q '^State:.Z' "/proc/$1/status"
}

stop() {
    local daemon pid
    for daemon in "${DAEMONS[@]}"; do
        pid=$(cat "$DIR/run/${daemon%:*}.pid" 2>/dev/null) || continue
        alive "$pid" "${daemon#*:}" || continue
        kill "$pid"
        gone() { ! alive "$pid" "${daemon#*:}"; }
        within 15 gone || kill -9 "$pid" || true
    done
}

case ${1:-} in
start) start "$3" "$4" "$5" ;;
stop) stop ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
