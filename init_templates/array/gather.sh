#!/bin/sh
__HEADER__
set -e

# Your evaluation here.
cat result.* | sort -n > all.txt
echo "$(wc -l < all.txt) results"

touch qsub.finished.1
