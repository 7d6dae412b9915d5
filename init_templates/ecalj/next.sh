
# QSGW iteration @N@ of @NITER@ begins with what the one before has left, so that it can begin again
# after it was killed half way.
n=@N@
niter=@NITER@
rm -f mix* __* sigm "sigm.$name"
cp "QSGW.@BEFORE@run/rst.$name" "rst.$name"
cp "QSGW.@BEFORE@run/sigm.$name" sigm
ln -s sigm "sigm.$name"
