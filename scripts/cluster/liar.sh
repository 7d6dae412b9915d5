#!/bin/sh
# Stands by the names of the batch commands first in the PATH of the login node `chaos`. It does
# what its command does, or, until that second of the clock, what ~/lies/COMMAND says:
#   MODE UNTIL [BYTES]      one line; whom it lied to is noted in ~/lies/COMMAND.log
# Where there is ~/lies/COMMAND.slow, it takes so many seconds before, and as many after.
name=${0##*/}
lies=$HOME/lies/$name
PATH=${PATH#*:} # the rest of it has the real one
export PATH

run() {
    [ -e "$lies.slow" ] || exec "$name" "$@"
    read -r seconds <"$lies.slow"
    sleep "$seconds"
    "$name" "$@"
    code=$?
    sleep "$seconds"
    exit "$code"
}

mode='' until=0 bytes=0
[ -e "$lies" ] && read -r mode until bytes <"$lies"
[ "$(date +%s)" -le "${until:-0}" ] || run "$@"
printf '%s %s\n' "$mode" "$PWD" >>"$lies.log"

lost() { # what is printed where a request was sent and the answer never came
    case $name in
        sbatch) echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' ;;
        *) printf '%s\n' 'Unable to run job: failed receiving gdi request response for mid=1 (got syncron message receive timeout error).' 'Exiting.' ;;
    esac >&2
    exit 1
}

case $mode in
    empty) exit 0 ;;
    half) "$name" "$@" | head -c "$bytes" ;;
    garbage) printf '<html><head><title>504 Gateway Time-out</title></head>\n\007\0337 1 2 3\n' ;;
    silent) "$name" "$@" >/dev/null 2>&1 ;; # it is done, and nothing said of it
    error)
        "$name" "$@" >/dev/null 2>&1
        lost
        ;;
    *) run "$@" ;;
esac
exit 0
