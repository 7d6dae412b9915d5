__HEADER__
set -e
cd "${PBS_O_WORKDIR:-.}"   # PBS starts jobs in the home folder
export OMP_NUM_THREADS=1

fail() {
    echo "static: $1" >&2
    exit 1
}

mkdir -p static
cd static
cp ../relax/CONTCAR POSCAR
cp ../relax/POTCAR ../KPOINTS .
cp ../../INCAR.static INCAR

rm -f OUTCAR
@MPIRUN@ "__binpath__"/vasp_std > vasp.out || fail "vasp_std ended with exit code $?"

# VASP may end with exit code 0 all the same.
grep -q 'General timing and accounting' OUTCAR || fail "VASP did not come to its end"
grep 'aborting loop' OUTCAR | tail -n 1 | grep -q 'EDIFF is reached' ||
    fail "no self-consistency: NELM was not enough"

touch ../qsub.finished.static
