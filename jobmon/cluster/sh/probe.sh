# Tells who we are over there, and which batch systems answer. Changes nothing.
# main TOKEN all|self: also which batch systems answer, or only who and where we are
answers() { # answers NAME WORDS... : does this command end well within 20 s?
    name=$1
    shift
    path=$(command -v "$1") || return
    text=$(limited 20 "$@" 2>&1 </dev/null)
    printf '%s batch %s %s %s\n%s\n%s said\n' "$token" "$name" "$?" "$path" "$text" "$token"
}

main() {
    token=$1
    printf '%s user %s\n' "$token" "$(id -un)"
    printf '%s home %s\n' "$token" "$(cd && pwd -P)"
    printf '%s path %s\n' "$token" "$PATH"
    printf '%s rsync %s\n' "$token" "$(rsync --version 2>/dev/null | head -n 1)"
    [ "$2" = all ] || return 0
    answers slurm squeue --noheader --user="$(id -un)" --format=%i
    # Only Grid Engine's qstat knows -help this way; only its qconf knows its submit hosts.
    answers sge qstat -help
    answers sge-master qconf -ss
}
