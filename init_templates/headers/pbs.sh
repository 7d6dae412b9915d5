#PBS -S /bin/sh
#PBS -l select=1:ncpus=__maxcore__:mpiprocs=__maxcore__
#PBS -l walltime=__walltime__
# Take one # away and name what your site wants. Torque: -l nodes=1:ppn=N in place of select.
##PBS -q NAME
##PBS -P NAME
# PBS starts a job in the home folder; this is the job's own.
cd "$PBS_O_WORKDIR" || exit 1
