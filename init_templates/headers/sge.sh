#$ -S /bin/sh
#$ -cwd
#$ -l h_rt=__walltime__
# The parallel environment has another name at each site; qconf -spl lists them.
#$ -pe smp __maxcore__
# Take one # away and name what your site wants:
##$ -q NAME
##$ -P NAME
