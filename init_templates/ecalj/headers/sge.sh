#!/bin/sh
#$ -S /bin/sh
#$ -cwd
#$ -pe smp __maxcore__
#$ -l h_rt=@WALLTIME@
# The parallel environment may be called otherwise: qconf -spl lists them. Add what your site asks
# for, such as a queue (-q), and the lines "module load …" that the programs of ecalj need.
export OMP_NUM_THREADS=1
