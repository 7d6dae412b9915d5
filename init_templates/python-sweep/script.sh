#!/bin/sh
__HEADER__
set -e

"__pythonpath__" -B ../sweep.py @STEP@

touch qsub.finished.0
