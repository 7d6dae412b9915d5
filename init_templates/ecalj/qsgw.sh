
# gwsc goes on from the highest QPU.*run that it finds: those from here on are of an earlier attempt.
k=$n
while [ "$k" -le "$niter" ]; do
    rm -rf "QPU.${k}run" "QPD.${k}run" "llmf.${k}run" "QSGW.${k}run"
    k=$((k + 1))
done
run "lgwsc.$n" gwsc -np __maxcore__ 1 "$name"
grep -q '^OK!' "lgwsc.$n" || fail "gwsc did not end with OK!; see lgwsc.$n"
made "lgwsc.$n" "QPU.${n}run" "llmf.${n}run" "QSGW.${n}run/rst.$name" "QSGW.${n}run/sigm.$name"
[ "$n" -lt "$niter" ] || converged "llmf.${n}run"   # on the way, ecalj lets an x pass
gap "llmf.${n}run"
rm -f __*   # as ecalj's cleargw does: large, and read no more
