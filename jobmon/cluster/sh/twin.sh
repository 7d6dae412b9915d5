# Makes the run's folder on the cluster, or sees that it is this run's.
# main TOKEN TWIN RUN new|known|adopt
#   new: it must not be there, or be empty; known: it must be there; adopt: it may hold files
# Says "twin same", or "twin used" if something was ever submitted from it; else what is wrong.
twin_state() {
    if [ -f "$twin/.jobmon/run" ]; then
        read -r id <"$twin/.jobmon/run"
        if [ "$id" = "$run" ]; then echo same; else echo other; fi
    elif [ ! -e "$twin" ]; then
        echo missing
    elif [ -d "$twin" ] && left=$(ls -A "$twin") && [ "${left:-.jobmon}" = .jobmon ]; then
        echo empty # or what a start that was cut off left there
    else
        echo foreign
    fi
}

main() {
    token=$1 twin=$2 run=$3 mode=$4
    state=$(twin_state)
    case $mode:$state in
    *:same) ;;
    new:missing | adopt:missing)
        mkdir -p "${twin%/*}/" && mkdir "$twin" || state=unwritable
        ;;
    new:empty | adopt:empty | adopt:foreign) ;;
    *)
        printf '%s twin %s\n' "$token" "$state"
        return
        ;;
    esac
    mkdir -p "$twin/.jobmon/record" || state=unwritable
    # Linked into place: it is whole from its first moment, and of two starts one makes it.
    if [ "$state" != same ]; then
        held=$twin/.jobmon/run beside=$twin/.jobmon/run.$token
        if printf '%s\n' "$run" >"$beside"; then
            ln "$beside" "$held" 2>/dev/null || (set -C && cat "$beside" >"$held") ||
                state=unwritable # where there are no hard links, it is only exclusive
        else
            state=unwritable
        fi
        rm -f "$beside"
    fi
    [ "$state" = unwritable ] || state=same
    # A record means that jobs were submitted: what they made must not be pushed over.
    [ "$state" = same ] && [ -n "$(ls -A "$twin/.jobmon/record" 2>/dev/null)" ] && state=used
    printf '%s twin %s\n' "$token" "$state"
}
