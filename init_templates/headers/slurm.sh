#SBATCH --nodes=1
#SBATCH --ntasks=__maxcore__
#SBATCH --time=__walltime__
# Take one # away and name what your site wants:
##SBATCH --partition=NAME
##SBATCH --account=NAME
