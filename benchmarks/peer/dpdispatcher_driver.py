"""DPDispatcher, by its Python interface: a task a job, Slurm over SSHContext.

It has no dependencies: a chain is one submission after the other. Tuned: its SlurmJobArray,
which makes one job array of all tasks.
"""

from common import Case, done, read_case, ready
from dpdispatcher import Machine, Resources, Submission, Task


def submission(case: Case, machine: Machine, names: list[str]) -> Submission:
    tasks = []
    for name in names:
        (case.work / "jobs" / name).mkdir(parents=True)
        tasks.append(
            Task(
                command=case.payload,
                task_work_path=name,
                forward_files=[],
                backward_files=["result.dat"],
                outlog="log",
                errlog="err",
            )
        )
    resources = Resources(
        number_node=1,
        cpu_per_node=1,
        gpu_per_node=0,
        queue_name="",
        group_size=0 if case.tuned else 1,
    )
    return Submission(work_base="jobs", machine=machine, resources=resources, task_list=tasks)


def main() -> None:
    case = read_case()
    names = [f"job{n:03}" for n in range(case.count)]
    pace = {} if case.interval is None else {"check_interval": case.interval}
    ready()
    machine = Machine.load_from_dict(
        {
            "batch_type": "SlurmJobArray" if case.tuned else "Slurm",
            "context_type": "SSHContext",
            "local_root": str(case.work),
            "remote_root": case.remote,
            "remote_profile": {
                "hostname": "127.0.0.1",
                "port": case.port,
                "username": case.user,
                "key_filename": case.key,
            },
        }
    )
    for batch in [[name] for name in names] if case.kind == "chain" else [names]:
        submission(case, machine, batch).run_submission(**pace)
    done(len(list((case.work / "jobs").rglob("result.dat"))))


main()
