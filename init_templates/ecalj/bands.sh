
# The bands along the lines of symmetry, and the total density of states.
rm -f "syml.$name" bnd*.spin* bandplot.* "dos.tot.$name" "tdos.$name.glt"
run lgetsyml getsyml "$name" --nobzview
made lgetsyml "syml.$name"
run ljob_band job_band "$name" -np __maxcore__ NoGnuplot
made ljob_band bnd001.spin1 bandplot.isp1.glt
run ljob_tdos job_tdos "$name" -np __maxcore__ NoGnuplot
made ljob_tdos "dos.tot.$name" "tdos.$name.glt"
