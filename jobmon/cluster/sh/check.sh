# Tells what a first run rests on over there. Changes nothing.
# main TOKEN: the clock. Steps:
#   room FOLDER            its nearest parent that is there: may one write in it, and how much fits in
#   file PATHS...          which of these can be executed, and which are folders that can be entered
#   command_of NAME        where the shell finds it
#   says LIMIT WORDS...    what this command says, for at most LIMIT seconds
room() {
    there=$1 can=no id=
    until [ -e "$there" ] || [ -h "$there" ] || [ -z "$there" ]; do
        there=${there%/*}
    done
    there=${there:-/}
    [ -d "$there" ] && [ -w "$there" ] && [ -x "$there" ] && can=yes
    # The number before the percentage: names of any kind stand before and behind it.
    kilobytes=$(limited 20 df -Pk "$there" 2>/dev/null | sed -n '$s/^.* \([0-9][0-9]*\)  *[0-9]*% .*$/\1/p')
    [ "$there" = "$1" ] && [ -f "$1/.jobmon/run" ] && read -r id <"$1/.jobmon/run"
    printf '%s room %s %s %s %s\n' "$token" "$can" "${kilobytes:--}" "${id:--}" "$there"
}

file() {
    for path do
        kind=missing
        [ ! -e "$path" ] || kind=other
        if [ -d "$path" ] && [ -x "$path" ]; then
            kind=folder
        elif [ -f "$path" ] && [ -x "$path" ]; then
            kind=program
        fi
        printf '%s file %s %s\n' "$token" "$kind" "$path"
    done
}

command_of() {
    printf '%s command %s\n' "$token" "$(command -v "$1" 2>/dev/null)"
}

says() {
    limit=$1
    shift
    text=$(limited "$limit" "$@" 2>&1 </dev/null)
    printf '%s says %s\n%s\n%s said\n' "$token" "$?" "$text" "$token"
}

main() {
    token=$1
    printf '%s clock %s\n' "$token" "$(date +%s)"
}
