#!/bin/sh
#PJM -L node=1
#PJM -L elapse=@WALLTIME@
#PJM --mpi proc=__maxcore__
# Add what your site asks for, such as a resource group (-L rscgrp=…) and a group (-g), and the
# lines "module load …" that the programs of ecalj need.
export OMP_NUM_THREADS=1
