
# The input of the GW part, with its own mesh of k points.
run lmkGWinput mkGWinput "$name"
made lmkGWinput GWinput.tmp
sed 's/^n1n2n3.*/n1n2n3 @NKGW@ @NKGW@ @NKGW@/' GWinput.tmp >GWinput
grep -q '^n1n2n3 @NKGW@ ' GWinput || fail "GWinput.tmp has no line n1n2n3; see lmkGWinput"

# QSGW iteration 1 of @NITER@ begins with the density of LDA, and without a self-energy.
n=1
niter=@NITER@
rm -f mix* __* sigm "sigm.$name"
cp "START/rst.$name" "rst.$name"
