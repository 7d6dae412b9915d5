#!/bin/sh
#PBS -S /bin/sh
#PBS -l select=1:ncpus=1
#$ -S /bin/sh
#$ -cwd
#SBATCH -n 1

set -eu

# Read, not quoted: a folder's name may hold any sign.
{ IFS= read -r folder; IFS= read -r python; } <<'END'
__cwd__
__pythonpath__
END
cd "$folder"

"$python" -B ../program/ising.py @STEP@

# The last act, reached only if all went well: the evidence that this job finished.
touch qsub.finished.@ID@
