#!/bin/sh
#SBATCH -n __maxcore__
#SBATCH -t __walltime__
# Take one # away and name what your site wants:
##SBATCH -p NAME
##SBATCH -A NAME
# Here also what the programs need, such as "module load NAME".
