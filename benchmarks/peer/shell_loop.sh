#!/bin/sh
# A plain loop over ssh, as a careful user writes it: one shared connection, one remote loop
# that submits and notes each ID, one squeue a look for all jobs, results by one rsync. It
# believes no squeue that failed. It recovers nothing: if it dies, the user goes on by hand.
# A chain is handed over to Slurm (afterok).
# usage: shell_loop.sh KIND COUNT INTERVAL WORK REMOTE PAYLOAD SSH_CONFIG HOST
set -eu
kind=$1 count=$2 interval=$3 work=$4 remote=$5 payload=$6 config=$7 host=$8

on() { ssh -F "$config" -S "$work/master" "$host" "$@"; }

i=0
while [ "$i" -lt "$count" ]; do
    job=$work/jobs/$(printf 'job%03d' "$i")
    mkdir -p "$job"
    printf '#!/bin/sh\n#SBATCH -n 1\nset -e\n%s\ntouch finished\n' "$payload" >"$job/job.sh"
    i=$((i + 1))
done
echo READY
read -r _

trap 'ssh -F "$config" -S "$work/master" -O exit "$host" 2>/dev/null' EXIT
trap 'exit 1' TERM INT
ssh -F "$config" -M -S "$work/master" -o ControlPersist=yes -fN "$host" </dev/null >/dev/null 2>&1
rsync -a -e "ssh -F $config -S $work/master" "$work/jobs/" "$host:$remote/"
on sh -s "$kind" "$remote" >"$work/ids" <<'REMOTE'
cd "$2" || exit 1
last=
for job in job*; do
    after=
    [ "$1" != chain ] || [ -z "$last" ] || after="--dependency=afterok:$last --kill-on-invalid-dep=yes"
    last=$(cd "$job" && sbatch --parsable $after job.sh) || exit 1
    echo "$last" | tee -a submitted
done
REMOTE
while :; do
    sleep "$interval"
    # shellcheck disable=SC2016 # USER is the one over there
    on 'squeue -h -u "$USER" -o %i' >"$work/queue" || continue
    grep -qxFf "$work/ids" "$work/queue" || break
done
rsync -a -e "ssh -F $config -S $work/master" \
    --include='job*/' --include=result.dat --include=finished --exclude='*' "$host:$remote/" "$work/jobs/"
echo "DONE $(find "$work/jobs" -name finished | wc -l)"
