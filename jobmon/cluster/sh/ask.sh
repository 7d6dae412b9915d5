# Runs commands and looks at files, in the order asked for; changes nothing by itself.
# main TOKEN TWIN RUN LIMIT; an empty TWIN asks nothing of the twin. Steps:
#   x WORDS...         run this command, for at most LIMIT seconds
#   d FOLDER NAMES...  which of these are there? They are counted through all steps, from 1
#   g PATHS...         and of these, as far as a glance tells? They are counted with the others
#   e FOLDER ENDS...   the last lines of files there whose names end so
#   s PATHS...         their sizes and times of change
#   k PID              end that shell of our own connection, and what it has started
#   q                  the end; without it nothing that was asked counts
x() {
    printf '%s runs\n' "$token"
    errors=$(limited "$limit" "$@" 2>&1 >&3 </dev/null)
    code=$?
    printf '\n%s ran %s\n%s\n%s said\n' "$token" "$code" "$errors" "$token"
}

d() {
    folder=$1
    shift
    # Opening the folder makes a network file system ask its server again.
    for _ in "./$folder"/*; do break; done
    for name do
        number=$((number + 1))
        [ -e "./$folder/$name" ] && there="$there $number"
    done
    [ ${#there} -lt 1000 ] || tell
}

g() {
    for path do
        number=$((number + 1))
        [ -e "./$path" ] && there="$there $number"
    done
    [ ${#there} -lt 1000 ] || tell
}

tell() {
    [ -z "$there" ] || printf '%s there%s\n' "$token" "$there"
    there=''
}

e() {
    folder=$1
    shift
    for end do
        for file in "./$folder"/*"$end"; do
            { [ -f "$file" ] && [ -s "$file" ]; } || continue
            printf '%s tail %s\n' "$token" "${file#./}"
            tail -c 4000 "$file" 2>/dev/null | tail -n 20
            printf '\n%s said\n' "$token"
        done
    done
}

s() {
    # A link's file is meant, as at home.
    if stat -c %s / >/dev/null 2>&1; then
        stat -L -c "$token stat %s %Y %n" "$@" 2>/dev/null
    else
        stat -L -f "$token stat %z %m %N" "$@" 2>/dev/null
    fi
}

k() {
    # Only if the same sshd has started it: its number may be another's by now.
    for shell in $(children "$PPID"); do
        [ "$shell" != "$1" ] || end_all "$1"
    done
}

q() {
    tell
    printf '%s whole\n' "$token"
}

main() {
    token=$1 twin=$2 run=$3 limit=$4
    number=0 there=''
    exec 3>&1
    # A person's own settings would narrow the listing.
    unset SQUEUE_ACCOUNT SQUEUE_FORMAT SQUEUE_NAMES SQUEUE_PARTITION SQUEUE_QOS SQUEUE_STATES
    unset PBS_QSTAT_EXECONLY
    [ -n "$twin" ] || return 0
    cd "$twin" 2>/dev/null || { printf '%s twin missing\n' "$token"; return 1; }
    read -r id <.jobmon/run 2>/dev/null || id=
    [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return 1; }
}
