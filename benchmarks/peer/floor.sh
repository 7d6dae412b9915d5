#!/bin/sh
# The floor: the same jobs by a bare loop on the login node itself, nothing noted, nothing
# looked at, nothing brought home. What it takes, nobody can save.
# usage: floor.sh KIND COUNT INTERVAL WORK REMOTE PAYLOAD SSH_CONFIG HOST
set -eu
count=$2 remote=$5 payload=$6 config=$7 host=$8
echo READY
read -r _
ssh -F "$config" "$host" sh -s "$count" "$remote" "$payload" >/dev/null <<'REMOTE'
cd "$2" || exit 1
printf '#!/bin/sh\n#SBATCH -n 1\n%s\n' "$3" >job.sh
i=0
while [ "$i" -lt "$1" ]; do
    sbatch job.sh || exit 1
    i=$((i + 1))
done
REMOTE
echo "DONE 0"
