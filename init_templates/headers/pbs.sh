#!/bin/sh
#PBS -S /bin/sh
#PBS -l select=1:ncpus=__maxcore__:mpiprocs=__maxcore__:ompthreads=1
#PBS -l walltime=__walltime__
# Torque has nodes=1:ppn=__maxcore__ in place of the select line.
# Take one # away and name what your site wants:
##PBS -q NAME
##PBS -P NAME
# Here also what the programs need, such as "module load NAME".
