#!/bin/sh
#$ -S /bin/sh
#$ -cwd
#$ -l h_rt=__walltime__
# The parallel environment may be called otherwise: qconf -spl lists them.
#$ -pe smp __maxcore__
# Take one # away and name what your site wants:
##$ -q NAME
##$ -P NAME
# Here also what the programs need, such as "module load NAME".
