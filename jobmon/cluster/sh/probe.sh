# Tells who we are over there, and which batch systems answer. Changes nothing.
# main TOKEN RSYNC...: how rsync is called there. Steps:
#   a NAME WORDS...        does this command, of the batch system NAME, end well within 20 s?
#   b NAME WORDS...        the same; if so, c asks only what stands before this command in the path
#   c RIVAL NAME WORDS...  the same, where RIVAL is the command that stands there
a() {
    name=$1
    shift
    path=$(command -v "$1") || return
    text=$(limited 20 "$@" 2>&1 </dev/null)
    code=$?
    printf '%s batch %s %s %s\n%s\n%s said\n' "$token" "$name" "$code" "$path" "$text" "$token"
}

b() {
    a "$@" || return
    case $code$path in 0/*) ;; *) return ;; esac
    folder=${path%/*}
    before=:$PATH:
    before=${before%%":$folder:"*}:
}

c() {
    if [ "$before" ]; then
        rival=$(command -v "$1") || return
        case $before in *":${rival%/*}:"*) ;; *) return ;; esac
    fi
    shift
    a "$@"
}

main() {
    token=$1 before=
    shift
    printf '%s user %s\n' "$token" "$(id -un)"
    printf '%s home %s\n' "$token" "$(cd && pwd -P)"
    printf '%s path %s\n' "$token" "$PATH"
    printf '%s rsync %s\n' "$token" "$("$@" --version 2>/dev/null | head -n 1)"
}
