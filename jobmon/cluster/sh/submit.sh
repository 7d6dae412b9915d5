# Submits a batch of attempts, each at most once for ever: see ledger.py for the protocol.
# main TOKEN TWIN RUN SECONDS LIMIT CLOCK; CLOCK: a file that begins with a count of seconds.
# Steps; of an attempt: r, its demands, g.
#   v PATHS...   the sums of scripts that soon follow, read at once
#   r NAME KEY FOLDER SCRIPT SUM MARKER new|again
#                its record, job, place, cksum at home; again: a marker may be an earlier attempt's
#   n PATHS...   must be there   z PATHS...  must be absent
#   g WORDS...   go: the submit command
newline='
'
# A job inherits the environment it is submitted in; the frame's LC_ALL=C is not the user's.
users_locale() {
    # shellcheck disable=SC2154 # lc_all is set by the frame
    if [ -n "$lc_all" ]; then LC_ALL=$lc_all; else unset LC_ALL; fi
}

ask_time() {
    time=''
    if [ -n "$clock" ]; then
        read -r time _ <"$clock"
        time=${time%%.*}
    else
        time=$(date +%s)
    fi
}

# Also late if the clock went back, or does not answer.
late() {
    ask_time
    ! { [ "$time" -ge "$began" ] && [ "$time" -le "$deadline" ]; }
}

# Ends what this shell has waited for longer than the limit. One watcher for all: a timeout for each
# would cost a third of a submission. It is nobody's child, and not on our pipes.
guard() {
    tick=$((limit / 6))
    [ $tick -gt 0 ] || tick=1
    watcher=$(guarding & echo $!)
    trap 'kill "$watcher"' EXIT
}

guarding() {
    exec </dev/null >/dev/null
    old='' age=0
    trap 'kill "$nap"; exit' TERM
    while kill -0 $$; do
        sleep "$tick" &
        nap=$!
        wait "$nap"
        new=$(children $$)
        if [ "$new" = "$old" ]; then age=$((age + tick)); else age=0; fi
        old=$new
        [ $age -lt "$limit" ] || for hung in $new; do end_all "$hung"; done
    done
}

say() {
    # Where nobody hears it any more, nothing more is begun.
    printf '%s did %s %s\n' "$token" "$name" "$*" || exit
}

# Ends an attempt that was claimed: the record first, then the answer.
close() {
    ours=''
    printf '%s\nend\n' "$*" >>"$record"
    say "$*"
}

v() {
    for path do
        shift
        # Not a pipe, for one, which nobody would ever fill.
        [ -f "./$path" ] && set -- "$@" "./$path"
    done
    sums=''
    [ $# = 0 ] || sums=$newline$(cksum "$@" </dev/null)$newline
}

unchanged() {
    path=./$folder/$script
    [ -f "$path" ] || return
    case $sums in
    *"$newline$1 $path$newline"*) ;;
    *) [ "$(cksum <"$path")" = "$1" ] ;; # there are cksums that print a strange name otherwise
    esac
}

r() {
    name=$1 key=$2 folder=$3 script=$4 marker=$6 order=$7
    record=.jobmon/record/$name ours=''
    # First of all: whoever goes on to the next attempt must know that nobody can win this one.
    # Not ":", a failure of which would end the shell.
    if ! true >"$record"; then
        word=lost
        [ -e "$record" ] || word=unwritable
        say "$word"
        return
    fi
    printf 'key %s\n' "$key" >>"$record" || { close unwritable; return; }
    if late; then
        close late
    elif ! unchanged "$5"; then
        close differs
    else
        ours=yes
    fi
}

n() {
    [ -n "$ours" ] || return
    for need do
        [ -e "./$need" ] || { close "unmet $need"; return; }
    done
}

z() {
    [ -n "$ours" ] || return
    for need do
        if [ -e "./$need" ]; then close "unmet not $need"; return; fi
    done
}

g() {
    [ -n "$ours" ] || return
    if [ -e "./$folder/$marker" ]; then
        [ "$order" = again ] || { close marked; return; }
        rm -f "./$folder/$marker" || { close unwritable; return; }
    fi
    if late; then
        close late
        return
    fi
    text=$(cd "./$folder" && users_locale && exec "$@" "$script" 2>&1 </dev/null)
    code=$?
    printf 'ran %s\n%s\nend\n' "$code" "$text" >>"$record"
    say "ran $code$newline$text$newline$token said"
}

main() {
    token=$1 twin=$2 run=$3 limit=$5 clock=$6
    sums='' ours=''
    # The one at home may leave while qsub is at work: its answer must still be recorded.
    trap '' HUP PIPE
    exec 2>/dev/null
    ask_time
    # A file that is not there, or says something else.
    case $time in '' | *[!0-9]*) clock='' && ask_time ;; esac
    began=$time
    deadline=$((began + $4))
    cd "$twin" || { printf '%s twin missing\n' "$token"; return 1; }
    read -r id <.jobmon/run || id=
    [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return 1; }
    guard
    # No file is made anew here but by a claim.
    set -C
}
