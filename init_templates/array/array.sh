#!/bin/sh
@ARRAY@
__HEADER__
set -e
cd "${PBS_O_WORKDIR:-.}"   # PBS starts jobs in the home folder
task=@TASK@

# Your program here; $task is a number from 1 to @TASKS@. The result is put in place whole, and a task
# that has its result already does nothing when the array is tried again.
if [ ! -e "result.$task" ]; then
    echo "$task $((task * task))" > "part.$task"
    mv "part.$task" "result.$task"
fi

# Any task may be the last one: that is the one which finds the results of all. If two do, no harm
# is done; if a task fails, none does, and the array counts as failed.
i=1
while [ "$i" -le @TASKS@ ]; do
    [ -e "result.$i" ] || exit 0
    i=$((i + 1))
done
touch qsub.finished.0
