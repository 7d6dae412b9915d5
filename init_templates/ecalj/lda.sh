
# LDA: from POSCAR to the self-consistent density.
rm -f ctrls.POSCAR.* ctrl*."$name" save."$name" efermi.lmf rst.* sigm* mix* __*
run lvasp2ctrl vasp2ctrl POSCAR
made lvasp2ctrl ctrls.POSCAR.vasp2ctrl
cp ctrls.POSCAR.vasp2ctrl "ctrls.$name"
run lctrlgenM1 ctrlgenM1.py "$name" --nk1=@NK@ --nspin=@NSPIN@ --xcfun=@XCFUN@
made lctrlgenM1 "ctrlgenM1.ctrl.$name"
cp "ctrlgenM1.ctrl.$name" "ctrl.$name"

run lchk lmchk "$name"
run lmfa lmfa "$name"
run llmf @MPIRUN@ "$bin/lmf" "$name"
made llmf "save.$name" "rst.$name" efermi.lmf
converged llmf
gap llmf
