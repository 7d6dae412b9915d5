#PJM -L node=1
#PJM --mpi proc=__maxcore__
#PJM -L elapse=__walltime__
# Take one # away and name what your site wants. Where nodes are shared: -L vnode-core=N
# in place of node.
##PJM -L rscgrp=NAME
##PJM -g NAME
