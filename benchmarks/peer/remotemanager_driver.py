"""remotemanager, by its Python interface: a Dataset of runs, submitted with sbatch.

A chain is one Dataset downstream of the other; there each job submits the next one.
"""

import itertools
from typing import Any

from common import Case, done, read_case, ready
from remotemanager import Computer, Dataset

TEMPLATE = "#!/bin/bash\n#SBATCH --ntasks=#NTASKS:default=1#\n"


def job(payload: str, step: int) -> int:
    import subprocess  # noqa: PLC0415  only this function travels to the cluster

    subprocess.run([payload], check=True)
    return step


def dataset(case: Case, computer: Computer, number: int) -> Dataset:
    return Dataset(
        function=job,
        url=computer,
        name=f"set{number:03}",
        local_dir=f"local{number:03}",
        remote_dir=case.remote,
        run_dir=f"set{number:03}",
        skip=False,
        verbose=False,
    )


def main() -> None:
    case = read_case()
    pace: dict[str, Any] = {} if case.interval is None else {"interval": case.interval}
    ready()
    computer = Computer(
        template=TEMPLATE,
        host=case.host,
        user=case.user,
        port=case.port,
        ssh_insert=f"-F {case.ssh_config}",
        submitter="sbatch",
    )
    if case.kind == "chain":
        sets = [dataset(case, computer, n) for n in range(case.count)]
        for before, after in itertools.pairwise(sets):
            before.set_downstream(after)
        sets[0].append_run(args={"payload": case.payload, "step": 0})
    else:
        sets = [dataset(case, computer, 0)]
        for n in range(case.count):
            sets[0].append_run(args={"payload": case.payload, "step": n}, lazy=True)
        sets[0].finish_append()
    sets[0].run()
    sets[-1].wait(**pace)
    for each in sets:
        each.fetch_results()
    done(sum(isinstance(result, int) for each in sets for result in each.results))


main()
