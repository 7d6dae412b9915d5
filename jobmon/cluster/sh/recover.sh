# Asks the remote record what became of attempts, claiming each first: see ledger.py.
# main TOKEN TWIN RUN; steps:
#   r NAME KEY  claim this record for the job, or show what it holds
#   l           show every record               q  the end
show() {
    printf '%s record %s\n' "$token" "$1"
    cat ".jobmon/record/$1"
    printf '\n%s said\n' "$token"
}

r() {
    if (set -C && : >".jobmon/record/$1") 2>/dev/null; then
        printf 'key %s\nrecovered\nend\n' "$2" >>".jobmon/record/$1"
        printf '%s won %s\n' "$token" "$1"
    elif [ -e ".jobmon/record/$1" ]; then
        show "$1"
    else
        printf '%s unwritable %s\n' "$token" "$1"
    fi
}

l() {
    for record in .jobmon/record/*; do
        [ -e "$record" ] && show "${record##*/}"
    done
}

q() {
    printf '%s whole\n' "$token"
}

main() {
    token=$1 twin=$2 run=$3
    cd "$twin" 2>/dev/null || { printf '%s twin missing\n' "$token"; return 1; }
    read -r id <.jobmon/run 2>/dev/null || id=
    [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return 1; }
}
