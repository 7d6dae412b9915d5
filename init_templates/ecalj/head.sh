__HEADER__
set -eu

# Read, not quoted: a folder's name may hold any sign.
{ IFS= read -r folder; IFS= read -r bin; } <<'END'
__cwd__
__binpath__
END
name=@NAME@       # what ecalj calls this material: ctrl.@NAME@, rst.@NAME@, …

fail() {
    printf 'qsub.@ID@: %s\n' "$*" >&2
    exit 1
}

# run LOG PROGRAM…: its output goes into LOG; if it fails, the end of that is shown.
run() {
    log=$1
    shift
    "$@" </dev/null >"$log" 2>&1 && return
    code=$?
    tail -n 5 "$log" >&2
    fail "$* ended with exit code $code; all that it said is in $log"
}

# made LOG FILE…: a program that ended well has also written what it is for.
made() {
    log=$1
    shift
    for file; do
        [ -s "$file" ] || { tail -n 5 "$log" >&2; fail "$file was not made; see $log"; }
    done
}

# converged LOG: the last line that lmf adds to save.NAME begins with c; with x if its
# iterations (nit in ctrl.NAME) ran out, with i if it broke off.
converged() {
    last=$(tail -n 1 "save.$name")
    case $last in
        'c '*) ;;
        'x '*) fail "lmf did not converge within nit iterations: save.$name ends with '$last'; see $1" ;;
        *) fail "lmf broke off: save.$name ends with '$last'; see $1" ;;
    esac
}

# gap LOG: the line in which lmf gives the gap, into gap.@ID@.
gap() {
    grep 'gap *=' "$1" | tail -n 1 >gap.@ID@ || :
    [ -s gap.@ID@ ] || echo "lmf gives no gap: a metal?" >gap.@ID@
}

cd "$folder"
[ -x "$bin/lmf" ] || fail "there is no program lmf in '$bin': set binpath in jobmon.yaml"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
PATH=$bin:$PATH   # ecalj's scripts call lmchk and lmfa by their bare names
export PATH
# A Fortran program that runs out of stack just dies. (Not in POSIX, but every sh has it.)
# shellcheck disable=SC3045
ulimit -s unlimited 2>/dev/null || :
