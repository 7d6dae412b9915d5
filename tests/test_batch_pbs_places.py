"""PBS: where a job was submitted, which is all that tells whose it is."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batch_contract import asked
from test_batch_pbs import FINISHED, FULL, HEAD, JOBS, LISTING, UNKNOWN, in_full, pbs, row, standin

from jobmon.cluster.base import LookFailed
from jobmon.cluster.wrapped import SiteBatch
from jobmon.core.model import JobID
from jobmon.core.site import Site


def _places(outputs: list[tuple[int, str, str]], *asked: str) -> Mapping[JobID, str]:
    return pbs.places([["qstat", "-f", *asked]] * len(outputs), outputs)


def test_places_in_recorded_answers() -> None:
    there = dict.fromkeys(JOBS, "/home/hpcuser/gold/qsub.0")
    found = _places([(0, FULL, "")])
    assert found == {k: v for k, v in there.items() if "--" not in JOBS[k]["Submit_arguments"]} | {
        k: f"/home/hpcuser/gold/{JOBS[k]['Submit_arguments'].split()[-1]}"
        for k in found
        if JOBS[k]["Submit_arguments"].split()[-1] != "qsub.0"
    }
    assert found[JobID("2308[].vm")] == "/home/hpcuser/gold/qsub.0"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=90))
def test_the_folder_comes_through_the_broken_lines(name: str) -> None:
    if ",," in name or name.endswith((",", "/")) or name.startswith(","):
        return  # OpenPBS itself prints one comma of several
    folder = f"/home/a/{name}"
    told = {
        "job_state": "Q",
        "Variable_List": {"PBS_O_HOME": "/home/a", "PBS_O_WORKDIR": folder, "PBS_O_HOST": "h"},
        "Submit_arguments": "-W x qsub.relax",
    }
    text = standin.full("7.vm", told)
    assert _places([(0, text, "")]) == {"7.vm": f"{folder}/qsub.relax"}


def test_a_line_may_be_broken_within_a_letter() -> None:
    whole = standin.full(
        "7.vm",
        {"job_state": "Q", "Variable_List": {"PBS_O_WORKDIR": "/ü"}, "Submit_arguments": "q"},
    )
    raw = whole.encode().replace("ü".encode(), b"\xc3\n\t\xbc")
    assert _places([(0, raw.decode("utf-8", "surrogateescape"), "")]) == {"7.vm": "/ü/q"}


@pytest.mark.parametrize(
    "fields",
    [
        {"Submit_arguments": "qsub.0"},
        {"Variable_List": "PBS_O_WORKDIR=/a"},
        {"Variable_List": "PBS_O_WORKDIR=/a", "Submit_arguments": "-- /bin/true"},
        {"Variable_List": "PBS_O_WORKDIR=relative", "Submit_arguments": "qsub.0"},
        {"Variable_List": "X=1,PBS_O_WORKDIR=/a,PBS_O_WORKDIR=/b", "Submit_arguments": "qsub.0"},
    ],
)
def test_a_place_that_is_not_sure_is_none(fields: dict[str, str]) -> None:
    assert _places([in_full("7.vm", job_state="Q", **fields)]) == {}


def test_torque_tells_the_folder_by_itself() -> None:
    fields = {"Variable_List": "PBS_O_WORKDIR=/a,b", "init_work_dir": "/a,b", "submit_args": "q.0"}
    assert _places([in_full("7.vm", job_state="Q", **fields)]) == {"7.vm": "/a,b/q.0"}


def test_who_is_asked_about() -> None:
    past = (0, "1.vm\n2304.vm\n99.vm\nnoise 7\n12345678.gadi-pbs\n", "")
    known = {JobID("2305.vm"), JobID("1.vm"), JobID("12345679.gadi-pbs")}
    cut = row("12345678.gadi-pbs", "R") + row("12345679.gadi-pbs", "R")
    assert pbs.place_commands([(0, LISTING + cut, ""), past], known) == [
        ["qstat", "-f", "2304.vm", "2306.vm", "2307.vm", "2308[].vm", "2310.vm", "2311.vm", "12345678"],
        ["qstat", "-x", "-f", "99.vm"],
    ]  # fmt: skip
    assert pbs.place_commands([(0, "", ""), (2, "1.vm\n", "usage")], set()) == []
    many = "".join(row(f"{n}.vm", "Q") for n in range(250))
    asked_of = pbs.place_commands([(0, HEAD + many, ""), (1, "", "")], set())
    assert [len(command) for command in asked_of] == [102, 102, 52]


def test_each_job_that_was_asked_about_must_be_shown_or_denied() -> None:
    code, _, err = UNKNOWN
    assert set(_places([(code, FULL, err)], *JOBS, "999999.vm")) == set(_places([(0, FULL, "")]))
    assert _places([(0, FULL, "")], "2304", "2308[]")  # cut in the listing, asked by their numbers
    code, _, err = FINISHED
    assert _places([(0, FULL, ""), (code, FULL, err)]) == {}  # the history has it next time
    down = asked("pbs/texts.txt", "down")[0]
    half = FULL[: FULL.index("Job Id: 2311.vm")]
    for lost in (
        down,
        (153, "", UNKNOWN[2] + down[2]),
        (124, half, ""),
        (0, half, ""),
        (0, "", ""),
        (0, FULL[:-1], ""),
    ):
        with pytest.raises(LookFailed):
            _places([lost], *JOBS)


def test_a_site_with_other_names_is_asked_and_heard_alike() -> None:
    ways = Site(commands={"qstat": ("sudo", "-u", "7up", "myqstat"), "qselect": ("mysel",)})
    site = SiteBatch(pbs, ways)
    assert site.find_commands("u") == [
        ["sudo", "-u", "7up", "myqstat", "-u", "u"],
        ["mysel", "-x", "-u", "u"],
    ]
    more = site.place_commands([(0, LISTING, ""), (0, "99.vm\n", "")], set(map(JobID, JOBS)))
    assert more == [["sudo", "-u", "7up", "myqstat", "-x", "-f", "99.vm"]]
    code, _, err = UNKNOWN
    denied = (code, "", err.replace("qstat", "myqstat").replace("999999", "99"))
    assert site.places(more, [denied]) == {}
