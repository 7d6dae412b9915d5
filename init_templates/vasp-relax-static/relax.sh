__HEADER__
set -e
cd "${PBS_O_WORKDIR:-.}"   # PBS starts jobs in the home folder
export OMP_NUM_THREADS=1

fail() {
    echo "relax: $1" >&2
    exit 1
}

mkdir -p relax
cd relax

# A new attempt goes on from where the last one came to, if its CONTCAR is whole.
if [ -f CONTCAR ] && [ "$(wc -l < CONTCAR)" -ge @LINES@ ]; then
    cp CONTCAR POSCAR
else
    cp ../POSCAR POSCAR
fi
cp ../KPOINTS KPOINTS
cp ../../INCAR.relax INCAR
elements="@ELEMENTS@"
for element in $elements; do
    cat @POTCARS@/"$element"/POTCAR || fail "no POTCAR of $element in the folder potcars"
done > POTCAR

rm -f OUTCAR
@MPIRUN@ "__binpath__"/vasp_std > vasp.out || fail "vasp_std ended with exit code $?"

# VASP may end with exit code 0 all the same.
grep -q 'General timing and accounting' OUTCAR || fail "VASP did not come to its end"
grep 'aborting loop' OUTCAR | tail -n 1 | grep -q 'EDIFF is reached' ||
    fail "no self-consistency in the last step: NELM was not enough"
grep -q 'reached required accuracy' OUTCAR || fail "not relaxed: NSW was not enough"
[ -s CONTCAR ] || fail "no CONTCAR"

touch ../qsub.finished.relax
