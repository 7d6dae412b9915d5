#!/bin/sh
#SBATCH -n __maxcore__
#SBATCH -t @WALLTIME@
# Add what your site asks for, such as a partition (-p) and an account (-A), and the lines
# "module load …" that the programs of ecalj need.
export OMP_NUM_THREADS=1
