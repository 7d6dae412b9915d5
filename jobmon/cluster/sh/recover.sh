# Asks the remote record what became of attempts, claiming each first: see ledger.py.
# main TOKEN TWIN RUN; on stdin:
#   k KEY    the job of the next attempt     r NAME   claim its record, or show what it holds
#   l        show every record               q        the end
show() {
    printf '%s record %s\n' "$token" "$1"
    cat ".jobmon/record/$1"
    printf '\n%s said\n' "$token"
}

main() {
    token=$1 twin=$2 run=$3
    cd "$twin" 2>/dev/null || { printf '%s twin missing\n' "$token"; return; }
    read -r id <.jobmon/run 2>/dev/null || id=
    [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return; }
    while IFS= read -r line; do
        rest=${line#??}
        case $line in
        'k '*) key=$rest ;;
        'r '*)
            if (set -C && : >".jobmon/record/$rest") 2>/dev/null; then
                printf 'key %s\nrecovered\nend\n' "$key" >>".jobmon/record/$rest"
                printf '%s won %s\n' "$token" "$rest"
            elif [ -e ".jobmon/record/$rest" ]; then
                show "$rest"
            else
                printf '%s unwritable %s\n' "$token" "$rest"
            fi
            ;;
        l)
            for record in .jobmon/record/*; do
                [ -e "$record" ] && show "${record##*/}"
            done
            ;;
        q) printf '%s whole\n' "$token" ;;
        esac
    done
}
