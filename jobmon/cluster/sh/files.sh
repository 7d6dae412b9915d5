# Single files of job folders: which there are, the end of one, and removing some before a retry.
# main TOKEN TWIN RUN. Steps:
#   l FOLDER           the names of its files
#   t PATH FROM MOST   its size, and its bytes from FROM on ("": the last), MOST at most
#   c RECORD FOLDER NAMES...   remove these, each only as long as nobody has claimed RECORD
#   q                  the end; without it nothing that was asked counts
l() {
    for file in "./$1"/* "./$1"/.*; do
        { [ -f "$file" ] || [ -h "$file" ]; } && printf '%s name %s\n' "$token" "${file#./"$1"/}"
    done
    printf '%s listed\n' "$token"
}

t() {
    [ -f "./$1" ] || return
    size=$(wc -c <"./$1") || return
    from=$2
    [ -n "$from" ] || from=$((size - $3))
    # One that has become shorter was begun anew.
    { [ "$from" -ge 0 ] && [ "$from" -le "$size" ]; } || from=0
    printf '%s piece %s %s\n' "$token" "$from" "$((size))"
    tail -c "+$((from + 1))" "./$1" | head -c "$3"
    printf '\n%s said\n' "$token"
}

c() {
    before=$1 record=.jobmon/record/$1 folder=$2
    shift 2
    for name do
        # Asked anew before each: this program may have been asleep, and be late.
        if [ -e "$record" ]; then printf '%s claimed %s\n' "$token" "$before"; return; fi
        rm -f "./$folder/$name"
        if [ -e "./$folder/$name" ]; then printf '%s left %s %s\n' "$token" "$before" "$name"; fi
    done
}

q() {
    printf '%s whole\n' "$token"
}

main() {
    token=$1 twin=$2 run=$3
    exec 2>/dev/null
    cd "$twin" || { printf '%s twin missing\n' "$token"; return 1; }
    read -r id <.jobmon/run || id=
    [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return 1; }
}
