__HEADER__
set -e
cd "${PBS_O_WORKDIR:-.}"   # PBS starts jobs in the home folder

"__pythonpath__" -B ../sweep.py @STEP@

touch qsub.finished.0
