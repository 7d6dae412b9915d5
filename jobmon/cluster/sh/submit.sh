# Submits a batch of attempts, each at most once for ever: see ledger.py for the protocol.
# main TOKEN TWIN RUN SECONDS LIMIT; on stdin, for each attempt:
#   r NAME   its record      k KEY    its job       d FOLDER  where    s SCRIPT
#   c SUM    cksum of the script as it is at home   m MARKER
#   o new|again   again: an earlier attempt ran, so a marker is that one's
#   n PATH   must be there   z PATH   must be absent
#   a WORD   a word of the submit command           g         go
# A job inherits the environment it is submitted in; the frame's LC_ALL=C is not the user's.
users_locale() {
    # shellcheck disable=SC2154 # lc_all is set by the frame
    if [ -n "$lc_all" ]; then LC_ALL=$lc_all; else unset LC_ALL; fi
}

# Also late if the clock went back, or does not answer.
late() {
    clock=$(date +%s)
    ! { [ "$clock" -ge "$began" ] && [ "$clock" -le "$deadline" ]; }
}

claim() {
    (set -C && : >"$record") 2>/dev/null
}

# Ends an attempt that was claimed: the record first, then the answer.
close() {
    printf '%s\nend\n' "$*" >>"$record" 2>/dev/null
    printf '%s did %s %s\n' "$token" "$name" "$*"
}

demands() {
    while IFS= read -r need; do
        case $need in
        'n '*) [ -e "./${need#??}" ] || { missing=${need#??}; return 1; } ;;
        'z '*) if [ -e "./${need#??}" ]; then missing="not ${need#??}"; return 1; fi ;;
        esac
    done <<NEEDS
$needs
NEEDS
}

attempt() {
    record=.jobmon/record/$name
    # First of all: whoever goes on to the next attempt must know that nobody can win this one.
    if ! claim; then
        word=lost
        [ -e "$record" ] || word=unwritable
        printf '%s did %s %s\n' "$token" "$name" "$word"
        return
    fi
    printf 'key %s\n' "$key" >>"$record" 2>/dev/null || { close unwritable; return; }
    if late; then
        close late
        return
    fi
    # Not a pipe, for one, which nobody would ever fill.
    # shellcheck disable=SC2094
    if ! [ -f "./$folder/$script" ] ||
        [ "$(cksum <"./$folder/$script" 2>/dev/null)" != "$sum" ]; then
        close differs
        return
    fi
    demands || { close "unmet $missing"; return; }
    if [ -e "./$folder/$marker" ]; then
        [ "$order" = again ] || { close marked; return; }
        rm -f "./$folder/$marker" || { close unwritable; return; }
    fi
    if late; then
        close late
        return
    fi
    text=$(cd "./$folder" && users_locale && limited "$limit" "$@" "$script" 2>&1 </dev/null)
    code=$?
    printf 'ran %s\n%s\nend\n' "$code" "$text" >>"$record" 2>/dev/null
    printf '%s did %s ran %s\n%s\n%s said\n' "$token" "$name" "$code" "$text" "$token"
}

main() {
    token=$1 twin=$2 run=$3 limit=$5
    # The one at home may leave while qsub is at work: its answer must still be recorded.
    trap '' HUP PIPE
    began=$(date +%s)
    deadline=$((began + $4))
    cd "$twin" 2>/dev/null || { printf '%s twin missing\n' "$token"; return; }
    read -r id <.jobmon/run 2>/dev/null || id=
    [ "$id" = "$run" ] || { printf '%s twin other\n' "$token"; return; }
    set --
    needs='' some=''
    while IFS= read -r line; do
        rest=${line#??}
        case $line in
        'r '*) name=$rest ;;
        'k '*) key=$rest ;;
        'd '*) folder=$rest ;;
        's '*) script=$rest ;;
        'c '*) sum=$rest ;;
        'm '*) marker=$rest ;;
        'o '*) order=$rest ;;
        'n '* | 'z '*)
            some="$some$line
"
            # Adding each line to all before it would take minutes for a file of a megabyte.
            [ ${#some} -lt 4000 ] || { needs=$needs$some; some=''; }
            ;;
        'a '*) set -- "$@" "$rest" ;;
        g)
            needs=$needs$some
            attempt "$@" 2>/dev/null || return
            set --
            needs='' some=''
            ;;
        esac
    done
}
