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
    elif [ -z "$(ls -A "$twin" 2>/dev/null)" ]; then
        echo empty
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
    [ "$state" = same ] || (set -C && printf '%s\n' "$run" >"$twin/.jobmon/run") || state=unwritable
    [ "$state" = unwritable ] || state=same
    # A record means that jobs were submitted: what they made must not be pushed over.
    [ "$state" = same ] && [ -n "$(ls -A "$twin/.jobmon/record" 2>/dev/null)" ] && state=used
    printf '%s twin %s\n' "$token" "$state"
}
