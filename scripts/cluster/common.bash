# shellcheck shell=bash
# What all parts share: the state folder, messages, and daemons known by their
# pid files. A pid is believed only if that process is the right program *and*
# carries our state folder in its environment or arguments: a pid file left by a
# crash or a reboot never makes us take another's process for ours, nor end it.

STATE=${JOBMON_TESTCLUSTER:-${TMPDIR:-/tmp}/jobmon-testcluster}
STATE=${STATE%/}
SBIN_PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

declare -A PROGRAM PIDFILE PORT # by the daemon's name

define_daemon() { # NAME PROGRAM PIDFILE [PORT]
    PROGRAM[$1]=$2 PIDFILE[$1]=$3 PORT[$1]=${4:-}
}

say() { printf '%s\n' "$*"; }
die() {
    printf 'testcluster: %s\n' "$*" >&2
    exit 1
}

check_machine() { # VERB
    [ "$(uname -s)" = Linux ] || die "needs Debian Linux; here tests of the cluster are left out"
    [[ $STATE =~ ^/[A-Za-z0-9_./-]+$ ]] || die "JOBMON_TESTCLUSTER=$STATE: give an absolute folder of letters, digits, _ . - only"
    [ ${#STATE} -le 70 ] || die "JOBMON_TESTCLUSTER=$STATE is too long for the sockets in it: at most 70 characters"
    [ "$1" = status ] || [ "$(id -u)" = 0 ] || die "$1 needs root: sudo $0 $1"
}

# One testcluster command at a time. The folder is root's, or someone else has
# put it there before us: /tmp is everybody's.
take_lock() {
    [ -d "$STATE" ] || install -d -m 755 "$STATE"
    if [ ! -O "$STATE" ] || [ -L "$STATE" ]; then
        die "$STATE belongs to somebody else: remove it or set JOBMON_TESTCLUSTER"
    fi
    exec 9>"$STATE/.lock"
    flock -w 120 9 || die "another testcluster command has been at work on $STATE for two minutes"
}

wait_until() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# --- daemons ---------------------------------------------------------------

daemon_pid() { # NAME: print the process id of our own daemon, if it lives
    local pid exe
    { read -r pid <"${PIDFILE[$1]}"; } 2>/dev/null || [ -n "${pid:-}" ] || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    exe=$(readlink "/proc/$pid/exe") || return 1
    exe=${exe% (deleted)}
    [ "${exe##*/}" = "${PROGRAM[$1]}" ] || return 1
    grep -aqsF -- "$STATE" "/proc/$pid/environ" "/proc/$pid/cmdline" || return 1
    printf '%s\n' "$pid"
}

seems_to_run() { # NAME: as far as an ordinary user can tell
    if [ -n "${PORT[$1]}" ]; then
        port_open "${PORT[$1]}"
    else
        grep -aqsF -- "$STATE" "/proc/$(cat "${PIDFILE[$1]}" 2>/dev/null)/cmdline"
    fi
}

show_daemon() { # NAME: one line; fails if it does not run
    local pid
    if pid=$(daemon_pid "$1"); then
        printf '%-16s running  pid %-8s%s\n' "$1" "$pid" "${PORT[$1]:+port ${PORT[$1]}}"
    elif [ "$(id -u)" != 0 ] && seems_to_run "$1"; then
        printf '%-16s running  %s(it seems; root sees more)\n' "$1" "${PORT[$1]:+port ${PORT[$1]} }"
    else
        printf '%-16s stopped\n' "$1"
        return 3
    fi
}

# Run a daemon with a clean environment that carries our mark, without our lock
# and without the caller's terminal. What it says before it has a log goes to a file.
launch() { # NAME COMMAND...
    local name=$1
    shift
    rm -f "${PIDFILE[$name]}"
    if [ -n "${PORT[$name]:-}" ] && port_open "${PORT[$name]}"; then
        die "port ${PORT[$name]} of $name is taken by a process that is not ours: end that first"
    fi
    env -i PATH="$SBIN_PATH" LANG=C.UTF-8 TESTCLUSTER="$STATE" "$@" \
        </dev/null >>"$STATE/log/$name.out" 2>&1 9>&-
}

launch_or_die() { # NAME COMMAND...
    launch "$@" || die "$1 would not start: $(tail -n 2 "$STATE/log/$1.out" | tr '\n' ' ')"
}

stop_daemon() { # NAME: end it, and wait until it is gone
    local pid
    if pid=$(daemon_pid "$1"); then
        kill "$pid" 2>/dev/null || true
        if ! wait_until 15 gone "$1" "$pid"; then
            kill -9 "$pid" 2>/dev/null || true
            wait_until 5 gone "$1" "$pid" || die "$1 (pid $pid) does not end"
        fi
        say "$1 stopped"
        rm -f "${PIDFILE[$1]}"
    fi
}

gone() { [ "$(daemon_pid "$1")" != "$2" ]; } # NAME PID
