__HEADER__
set -e
cd "${PBS_O_WORKDIR:-.}"   # PBS starts jobs in the home folder

# Your evaluation here.
cat result.* | sort -n > all.txt
echo "$(wc -l < all.txt) results"

touch qsub.finished.1
