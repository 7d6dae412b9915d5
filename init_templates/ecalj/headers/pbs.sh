#!/bin/sh
#PBS -S /bin/sh
#PBS -l select=1:ncpus=__maxcore__:mpiprocs=__maxcore__:ompthreads=1
#PBS -l walltime=@WALLTIME@
# Torque has nodes=1:ppn=__maxcore__ in place of the select line. Add what your site asks for, such
# as a queue (-q), and the lines "module load …" that the programs of ecalj need.
export OMP_NUM_THREADS=1
