# Tells who we are over there, and which batch systems answer. Changes nothing.
# main TOKEN RSYNC...: how rsync is called there. Steps:
#   a NAME WORDS...  does this command, of the batch system NAME, end well within 20 s?
a() {
    name=$1
    shift
    path=$(command -v "$1") || return
    text=$(limited 20 "$@" 2>&1 </dev/null)
    printf '%s batch %s %s %s\n%s\n%s said\n' "$token" "$name" "$?" "$path" "$text" "$token"
}

main() {
    token=$1
    shift
    printf '%s user %s\n' "$token" "$(id -un)"
    printf '%s home %s\n' "$token" "$(cd && pwd -P)"
    printf '%s path %s\n' "$token" "$PATH"
    printf '%s rsync %s\n' "$token" "$("$@" --version 2>/dev/null | head -n 1)"
}
