__HEADER__
set -e
cd "${PBS_O_WORKDIR:-.}"   # PBS starts jobs in the home folder

# Your program here. It ends this script if it fails, since set -e is above.
echo "step @ID@ of __jobname__ on $(hostname)" > result.@ID@

# The last act, so that the marker is there only if all went well.
touch qsub.finished.@ID@
