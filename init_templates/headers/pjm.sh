#!/bin/sh
#PJM -L node=1
#PJM --mpi proc=__maxcore__
#PJM -L elapse=__walltime__
# Where nodes are shared, -L vnode-core=N is wanted in place of node=1.
# Take one # away and name what your site wants:
##PJM -L rscgrp=NAME
##PJM -g NAME
# Here also what the programs need, such as "module load NAME".
