# shellcheck shell=bash
# Debian packages, quietly: nothing happens where all are there; package lists are
# read anew at most once in an hour; no package starts its daemons.

APT_STAMP=/var/lib/apt/jobmon-updated

apt_missing() { # PACKAGE...: print those that are not installed
    local package
    for package; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

apt_update_once() {
    [ -n "$(find "$APT_STAMP" -mmin -60 2>/dev/null)" ] && return 0
    echo "install: reading the package lists"
    apt_quietly apt-get update -q || return 1
    touch "$APT_STAMP"
}

apt_install() { # TITLE PACKAGE...
    local title=$1 began=$SECONDS
    local -a missing
    shift
    mapfile -t missing < <(apt_missing "$@")
    if [ ${#missing[@]} = 0 ]; then
        echo "install $title: all there"
        return 0
    fi
    apt_update_once || return 1
    apt_without_starting apt_quietly apt-get install -q -y --no-install-recommends "${missing[@]}" || return 1
    echo "install $title: ${missing[*]} ($((SECONDS - began)) s)"
}

apt_quietly() { # COMMAND...: its output is shown only if it fails
    local log code=0
    log=$(mktemp)
    DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1 || code=$?
    [ "$code" = 0 ] || tail -n 20 "$log" >&2
    rm -f "$log"
    return "$code"
}

# policy-rc.d that exits 101 forbids packages to start daemons. Ours is only put
# where there is none, and taken away again, come what may.
apt_without_starting() ( # COMMAND...
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    "$@"
)
