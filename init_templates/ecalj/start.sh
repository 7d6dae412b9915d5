
# Where the first iteration begins, also if it has to begin again.
rm -rf START
mkdir START
cp "rst.$name" START
