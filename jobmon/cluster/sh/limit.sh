# limited SECONDS WORDS...: runs a command, and after that time ends it with all that it started.
# It may end the shell it is called in: always by $(...).
# Stands before every other program: see frame in base.py.
limited() {
    if command -v timeout >/dev/null 2>&1; then
        exec timeout -k 5 "$@"
    else
        seconds=$1
        shift
        "$@" &
        started=$!
        # Not on the caller's pipes, so that nobody waits for the watcher.
        watch "$started" </dev/null >/dev/null 2>&1 3>&- &
        wait "$started"
    fi
}

watch() {
    while [ "$seconds" -gt 0 ]; do
        kill -0 "$1" || return
        sleep 1
        seconds=$((seconds - 1))
    done
    end_all "$1"
}

children() {
    ps -A -o ppid= -o pid= | while read -r parent pid; do
        [ "$parent" = "$1" ] && echo "$pid"
    done
}

end_all() {
    # Stopped, it starts no more children, and does not go on to a good end when one of them dies.
    kill -STOP "$1"
    # The children first: of a dead parent nobody knows them.
    for child in $(children "$1"); do
        end_all "$child"
    done
    kill -9 "$1"
}
