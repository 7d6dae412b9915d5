# Runs commands and looks at files, in the order asked for; changes nothing by itself.
# main TOKEN TWIN RUN LIMIT; standing on stdin, a line each:
#   a WORD   a word of the next command      x        run it, for at most LIMIT seconds
#   d FOLDER enter a folder of the twin      f NAME   is it there?
#   e END    last lines of files there whose names end so
#   s PATH   its size and time of change
#   q        the end; without it nothing that was asked counts
# An empty TWIN asks nothing of the twin.
run() {
    errors=$(limited "$limit" "$@" 2>&1 >&3 </dev/null)
    code=$?
    printf '\n%s ran %s\n%s\n%s said\n' "$token" "$code" "$errors" "$token"
}

size_and_time() {
    # A link's file is meant, as at home.
    stat -L -c '%s %Y' "./$1" 2>/dev/null || stat -L -f '%z %m' "./$1" 2>/dev/null
}

last_lines() {
    for file in "./$folder"/*"$1"; do
        { [ -f "$file" ] && [ -s "$file" ]; } || continue
        printf '%s tail %s\n' "$token" "${file#./}"
        tail -c 4000 "$file" 2>/dev/null | tail -n 20
        printf '\n%s said\n' "$token"
    done
}

enter() {
    folder=$1
    # Opening the folder makes a network file system ask its server again.
    for _ in "./$folder"/*; do break; done
}

main() {
    token=$1 twin=$2 run=$3 limit=$4
    exec 3>&1
    # A person's own settings would narrow the listing.
    unset SQUEUE_ACCOUNT SQUEUE_FORMAT SQUEUE_NAMES SQUEUE_PARTITION SQUEUE_QOS SQUEUE_STATES
    if [ -n "$twin" ]; then
        cd "$twin" 2>/dev/null || { printf '%s twin missing\n' "$token"; return; }
        read -r id <.jobmon/run 2>/dev/null || id=
        [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return; }
    fi
    set --
    folder=. number=0
    while IFS= read -r line; do
        rest=${line#??}
        case $line in
        'a '*) set -- "$@" "$rest" ;;
        x) printf '%s runs\n' "$token"; run "$@"; set -- ;;
        'd '*) enter "$rest" ;;
        'f '*)
            number=$((number + 1))
            [ -e "./$folder/$rest" ] && printf '%s there %s\n' "$token" "$number"
            ;;
        's '*) found=$(size_and_time "$rest") && printf '%s stat %s %s\n' "$token" "$found" "$rest" ;;
        'e '*) last_lines "$rest" ;;
        q) printf '%s whole\n' "$token" ;;
        esac
    done
}
