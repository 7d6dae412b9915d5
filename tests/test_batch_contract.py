"""What every file of ``cluster/batch`` must pass, whatever its system prints.

Also the reader of the recorded answers under ``goldens/``, for the tests of each system. A golden
file starts with a line that says who printed it, or which manual has it; then, for each command, ``### [CASE: ]COMMAND``,
``--- CODE out``, its output, ``--- err``, its errors.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.cluster.base import Batch, LookFailed
from jobmon.cluster.batch import NAMES, batch, overall
from jobmon.core.model import Accepted, JobID, NotRun, Phase, Refused, Unclear

GOLDENS = Path(__file__).parent / "goldens"
Output = tuple[int, str, str]

ACCEPTED = {
    "slurm": "Submitted batch job {}",
    "sge": 'Your job {} ("a name") has been submitted',
    "pbs": "{}.vm",
    "pjm": "[INFO] PJM 0000 pjsub Job {} submitted.",
    "local": 'Your job {} ("qsub.0") has been accepted by the local queue of jobmon',
}


class Answered(NamedTuple):
    case: str
    command: str
    output: Output

    @property
    def text(self) -> str:
        """What submit.sh keeps: both streams, without the last end of line."""
        return (self.output[1] + self.output[2]).rstrip("\n")


def recorded(path: str) -> list[Answered]:
    text = (GOLDENS / path).read_text(encoding="utf-8")
    said = text.startswith(("# Printed by ", "# From the manual "))
    assert said, f"{path} does not say which system printed it, nor which manual has it"
    found = []
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        parts = re.fullmatch(r"(.*)\n--- (\d+) out\n(.*?)--- err\n(.*)", part, re.S)
        assert parts is not None, part
        case = re.match(r"(\w[\w ]*): (.*)", parts[1])
        head = (case[1], case[2]) if case else ("", parts[1])
        found.append(Answered(*head, (int(parts[2]), parts[3], parts[4])))
    return found


def asked(path: str, case: str) -> list[Output]:
    """The outputs of a case's commands, in their order."""
    outputs = [answer.output for answer in recorded(path) if answer.case == case]
    assert outputs, f"{path} has no case {case}"
    return outputs


every = pytest.mark.parametrize("system", [batch(name) for name in NAMES], ids=NAMES)
line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=40)
noise = st.lists(
    line | st.sampled_from(["node07", "Last login: 12 34", "42", "error: 17"]), max_size=4
)
number = st.integers(1, 99_999_999)


def test_a_name_that_is_no_system_is_refused() -> None:
    with pytest.raises(ValueError, match="there are slurm, sge, pbs, pjm, local"):
        batch("lsf")


@every
def test_a_system_knows_its_own_name(system: Batch) -> None:
    assert batch(system.name).name == system.name


@every
@given(number, noise, noise)
def test_noise_around_the_accepted_line_keeps_the_id(
    system: Batch, jobid: int, before: list[str], after: list[str]
) -> None:
    text = "\n".join([*before, ACCEPTED[system.name].format(jobid), *after])
    name = f"{jobid}.vm" if system.name == "pbs" else str(jobid)
    assert system.accepted(0, text) == Accepted(JobID(name))


@every
@given(st.integers(-1, 255), st.text())
def test_a_text_without_an_id_is_never_accepted(system: Batch, code: int, text: str) -> None:
    assert isinstance(system.accepted(code, text), Refused | NotRun | Unclear)


@pytest.mark.fault("Batch systems: empty with exit code 0")
@every
@pytest.mark.parametrize("code", [0, 1, 124, 137, 143])
def test_silence_is_unclear(system: Batch, code: int) -> None:
    assert isinstance(system.accepted(code, ""), Unclear)


@pytest.mark.fault("Batch systems: garbage")
@every
@given(st.text() | st.text("<job_inf/>state|0123 \n=:RUNING", max_size=200))
def test_any_text_is_a_listing_or_a_failed_look(system: Batch, text: str) -> None:
    try:
        listing = system.parse(text)
    except LookFailed as failed:
        assert str(failed).isprintable()
        assert len(str(failed)) < 400
    else:
        assert all(isinstance(phase, Phase) for phase in listing.values())


@every
@given(st.data())
def test_any_answers_end_in_a_verdict_and_a_search_in_ids_or_a_failed_look(
    system: Batch, data: st.DataObject
) -> None:
    answer = st.tuples(st.integers(0, 255), st.text(max_size=50), st.text(max_size=50))
    size = len(system.confirm_commands(JobID("7")))
    assert not system.verdict(
        JobID("7"), data.draw(st.lists(answer, min_size=size, max_size=size))
    ).gone
    size = len(system.find_commands("me"))
    try:
        found = system.find(data.draw(st.lists(answer, min_size=size, max_size=size)))
    except LookFailed as failed:
        assert str(failed).isprintable()
    else:
        assert not found


@every
@given(st.data())
def test_any_answers_about_places_end_in_places_or_a_failed_look(
    system: Batch, data: st.DataObject
) -> None:
    answer = st.tuples(st.integers(0, 255), st.text(max_size=50), st.text(max_size=50))
    outputs = data.draw(st.lists(answer, max_size=3))
    try:
        more = system.place_commands(outputs, {JobID("7")})
        assert not system.places([["x", "7"]] * len(outputs), outputs)
    except LookFailed as failed:
        assert str(failed).isprintable()
    else:
        assert all(word for command in more for word in command)


@every
def test_silence_proves_no_end(system: Batch) -> None:
    silent = [(0, "", "") for _ in system.confirm_commands(JobID("7"))]
    assert not system.verdict(JobID("7"), silent).gone


@every
@pytest.mark.parametrize("code", [1, 124, 127, 255])
def test_a_search_that_failed_is_said(system: Batch, code: int) -> None:
    with pytest.raises(LookFailed):
        system.find([(code, "", "no\x1b[1m route") for _ in system.find_commands("me")])


@every
def test_delete_names_every_job_last(system: Batch) -> None:
    assert system.delete_command([JobID("7"), JobID("12")])[-2:] == ["7", "12"]


@given(st.lists(st.sampled_from(Phase), min_size=1))
def test_an_array_runs_while_any_of_it_runs(phases: list[Phase]) -> None:
    assert overall(phases) in phases
    assert (overall(phases) is Phase.RUNNING) == (Phase.RUNNING in phases)
    assert (overall(phases) is Phase.ENDING) == (set(phases) == {Phase.ENDING})
