#!/bin/sh
. "$(dirname "$0")/standin"
name=$1
shift
nk=8 nspin=1 xcfun=vwn
for word; do
    case $word in
        --nk1=*) nk=${word#*=} ;;
        --nspin=*) nspin=${word#*=} ;;
        --xcfun=vwn | --xcfun=pbe | --xcfun=bh) xcfun=${word#*=} ;;
        *) echo "ARGUMENT ERROR, unknown arg:  $word" >&2; exit 255 ;;
    esac
done
whole "$nk"
whole "$nspin"
need "ctrls.$name"
cp "ctrls.$name" ctrl.tmp
lmchk --getwsr tmp >llmchk_getwsr
if ! [ -s rmt.tmp ]; then
    echo "Error! lmchk --getwsr tmp: Maybe numerical problem of crystal symmetry."
    exit 0 # as the real one does
fi
{
    cat "ctrls.$name"
    echo "% const pwemax=3 nk1=$nk nk2=$nk nk3=$nk nit=80 nspin=$nspin xcfun=$xcfun"
    echo "%const b=0.2 umix=0.2"
} >"ctrlgenM1.ctrl.$name"
echo "=== End of ctrlgenM1.py. OK! A template of ctrl file, ctrlgenM1.ctrl.$name, is generated."
rm -f ./*.tmp ./*.tmp2 ves* llm* exit* atomlist*
