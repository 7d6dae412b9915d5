
# The last act, reached only if all went well: the evidence that this job finished.
touch qsub.finished.@ID@
