"""What goes up and what comes home: by the real rsync through a stand-in for ssh, by plain
copying, and not at all; the same tests for the first two."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobmon.cluster import clean, landing, rsync, transfer
from jobmon.cluster.base import ClusterError, ConnectionLost, Spent
from jobmon.cluster.copying import Copy
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Same, Transfer, Wanted
from jobmon.run.tree import OURS

NAMES = [
    *("plain", "a b", "-n", "--delete", "#x", ";y", "+ a", "- b", " lead", "trail ", "é"),
    *("q'\"", "$HOME `x`", "*", "[a]", "a\\b", "\\#134", "\udcff", "a\tb", "a\rb", ":x", "!"),
]
RSH = """#!/bin/sh
# the host is dropped; as sshd does, the rest is one line for the login shell
shift
exec /bin/sh -c "$*"
"""


class RshLink:
    """A ``Link`` of which only the way for rsync is there."""

    where = "me@lab"

    def __init__(self, rsh: Path) -> None:
        self._rsh = rsh

    def open(self) -> None: ...

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        raise AssertionError("rsync needs no other command")

    def shell(self, limit: float) -> None:
        return None

    def rsync_shell(self, mark: str = "") -> tuple[list[str], str]:
        return clean.shell(mark, [str(self._rsh)]), "cluster:"

    def spent(self) -> Spent:
        return Spent()

    def close(self) -> None: ...


class Lab:
    """A run folder, its twin, both with weird names, and the way between them."""

    def __init__(self, top: Path, way: str) -> None:
        self.run = top / "-run 'w\" é" / "20261120"
        self.twin = top / "-twin $x 'w\" é\\"
        self.rsh = top / "r sh" / "rsh"
        for folder in (self.run, self.twin, self.rsh.parent):
            folder.mkdir(parents=True)
        self.put(self.rsh, RSH)
        self.rsh.chmod(0o755)
        self.rsync = Rsync(RshLink(self.rsh), self.run, str(self.twin), OURS)
        copy = Copy(self.run, self.twin, OURS)
        self.transfer: Transfer = self.rsync if way == "rsync" else copy

    @staticmethod
    def put(path: Path, text: str = "x", when: int = 1_700_000_000) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (when, when))

    def bring(self, wanted: Wanted) -> tuple[set[str], str]:
        """What came home, and what was left out and why."""
        return bring(self.transfer, self.run, wanted)

    def pull(self, *folders: str, **more: tuple[str, ...]) -> set[str]:
        """What came home; nothing was left out."""
        brought, trouble = self.bring(wanted(*folders, **more))
        assert trouble == ""
        return brought


def bring(transfer: Transfer, run: Path, wanted: Wanted) -> tuple[set[str], str]:
    """Pull, then land, as the cycle does."""
    trouble = transfer.pull(wanted)
    cargo = landing.ready(run, wanted, OURS)
    landed = landing.land(run, cargo.files)
    return set(landed.files), "; ".join(
        filter(None, (trouble, landing.said([*cargo.left, *landed.left])))
    )


def wanted(*folders: str, **more: tuple[str, ...]) -> Wanted:
    return Wanted(
        folders, more.get("results", ()), more.get("outputs", ()), more.get("protected", ())
    )


def files(top: Path) -> dict[str, str]:
    return {
        str(Path(where, name).relative_to(top)): Path(where, name).read_text()
        for where, _, names in os.walk(top)
        for name in names
    }


WAYS = ["copy", *(["rsync"] if shutil.which("rsync") else [])]


@pytest.fixture(params=WAYS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, request.param)


@pytest.fixture
def rsync_lab(tmp_path: Path) -> Lab:
    if "rsync" not in WAYS:
        pytest.skip("rsync is not installed")
    return Lab(tmp_path, "rsync")


# --- up --------------------------------------------------------------------------------


@pytest.mark.fault("Input: names of every kind (transfers)")
def test_the_tree_goes_up_without_what_is_ours(lab: Lab) -> None:
    for name in NAMES:
        lab.put(lab.run / name / name)
        lab.put(lab.run / f"top {name}")
    own = ["jobmon.yaml", "jobmon.log", "jobmon.log.1", "qsub.log", "qsub.log.before.2", "qstat"]
    own += ["quelist", "quelist.rejected.1", "qsub.now", "kill", ".jobmon/lock", ".jobmon/a/b"]
    for name in own:
        lab.put(lab.run / name)
        lab.put(lab.run / "m" / name)
    (lab.run / "link").symlink_to("top plain")
    (lab.run / "linked folder").symlink_to("plain")
    (lab.run / "empty").mkdir()
    for _ in range(2):  # a first push that was cut off is done again
        lab.transfer.push_tree(OURS)
    want = files(lab.run)
    assert files(lab.twin) == {name: text for name, text in want.items() if name not in own}
    assert (lab.twin / "link").readlink() == Path("top plain")
    assert (lab.twin / "linked folder").readlink() == Path("plain")
    assert (lab.twin / "empty").is_dir()
    assert (lab.twin / "plain" / "plain").stat().st_mtime == 1_700_000_000


def test_single_files_go_up(lab: Lab) -> None:
    for name in NAMES:
        lab.put(lab.run / name / "new" / name, "new")
        lab.put(lab.run / name / "other")
    lab.put(lab.run / "top", "new")
    lab.put(lab.twin / "top", "an older one", 1_800_000_000)
    lab.put(lab.twin / "kept", "theirs")
    lab.transfer.push([*(f"{name}/new/{name}" for name in NAMES), "top"])
    want = {f"{name}/new/{name}": "new" for name in NAMES}
    assert files(lab.twin) == want | {"top": "new", "kept": "theirs"}
    assert (lab.twin / "top").stat().st_mtime == 1_700_000_000


def test_a_script_keeps_its_mode(lab: Lab) -> None:
    lab.put(lab.run / "m" / "run.sh")
    (lab.run / "m" / "run.sh").chmod(0o750)
    lab.transfer.push(["m/run.sh"])
    assert (lab.twin / "m" / "run.sh").stat().st_mode & 0o7777 == 0o750


def test_what_was_not_pushed_is_said(lab: Lab) -> None:
    """A job must not be submitted without it."""
    lab.put(lab.run / "there")
    with pytest.raises(ClusterError, match="gone"):
        lab.transfer.push(["there", "m/gone"])


# --- home ------------------------------------------------------------------------------


def test_without_patterns_all_small_files_of_the_folders_come_home(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for way in (landing, rsync):
        monkeypatch.setattr(way, "MAX_SIZE", 1000)
    for name in NAMES:
        lab.put(lab.twin / name / name)
    lab.put(lab.twin / "plain" / "deep" / "er" / "x")
    lab.put(lab.twin / "plain" / "just", "x" * 1000)
    lab.put(lab.twin / "plain" / "big", "x" * 1001)
    lab.put(lab.twin / "not asked" / "x")
    lab.put(lab.twin / "top")
    want = {f"{name}/{name}" for name in NAMES} | {"plain/deep/er/x", "plain/just"}
    assert lab.pull(*NAMES) == want
    assert set(files(lab.run)) == want
    assert (lab.run / "plain" / "plain").stat().st_mtime == 1_700_000_000
    assert lab.pull(*NAMES) == set(), "a second time there is nothing new"


def test_only_results_and_outputs_and_scripts(lab: Lab) -> None:
    for folder in ("m", "m/deep", "o [1]"):
        for name in ("a.dat", "x.tmp", "log", "qsub.7", "qsub.finished.0", "sub/b.dat", "job.e12"):
            lab.put(lab.twin / folder / name)
    lab.put(lab.twin / "m" / "big.dat", "x" * (transfer.MAX_SIZE + 1))
    found = lab.pull("m", "o [1]", results=("/*.dat", "/sub/**"), outputs=("*.e12",))
    both = {"a.dat", "sub/b.dat", "qsub.7", "qsub.finished.0", "job.e12"}
    assert found == {
        *(f"m/{name}" for name in both),
        *(f"o [1]/{name}" for name in both),
        "m/big.dat",
        *(f"m/deep/{name}" for name in ("qsub.7", "qsub.finished.0", "job.e12")),
    }
    assert set(files(lab.run)) == found


@pytest.mark.fault(
    "Security: what is pulled cannot land outside its job folder (scripts that count here)"
)
def test_what_is_protected_is_not_replaced(lab: Lab) -> None:
    for name in NAMES:
        lab.put(lab.run / "m" / name, "ours")
        lab.put(lab.twin / "m" / name, "theirs", 1_800_000_000)
        lab.put(lab.twin / "n" / name, "theirs")
    protected = tuple(f"m/{name}" for name in NAMES)
    for results in ((), ("*",)):
        lab.pull("m", "n", protected=protected, results=results)
    assert all((lab.run / "m" / name).read_text() == "ours" for name in NAMES)
    assert all((lab.run / "n" / name).read_text() == "theirs" for name in NAMES)


@pytest.mark.fault("Disks and clocks: clocks an hour apart")
def test_what_is_not_protected_is_replaced_whichever_clock_is_ahead(lab: Lab) -> None:
    for when in (1_600_000_000, 1_800_000_000):
        lab.put(lab.run / "m" / "x", "ours", 1_700_000_000)
        lab.put(lab.twin / "m" / "x", "theirs", when)
        assert lab.pull("m") == {"m/x"}
        assert (lab.run / "m" / "x").read_text() == "theirs"


@pytest.mark.fault(
    "Security: what is pulled cannot land outside its job folder (jobmon's own names)"
)
def test_nothing_of_the_twins_top_replaces_what_is_ours(lab: Lab) -> None:
    for name in ("qsub.log", "quelist", "jobmon.log", "jobmon.yaml", ".jobmon/run", "kill"):
        lab.put(lab.twin / name, "theirs")
        lab.put(lab.twin / "m" / name, "a file of a job")
    lab.put(lab.twin / "result")
    for results in ((), ("*",), ("qsub.*", "quelist")):
        lab.pull("", results=results)
    assert {name for name in files(lab.run) if not name.startswith("m/")} == {"result"}
    assert (lab.run / "m" / "quelist").exists()


@pytest.mark.fault(
    "Security: what is pulled cannot land outside its job folder (links, devices, set-uid bits)"
)
def test_links_devices_and_set_uid_are_not_taken_over(lab: Lab) -> None:
    secret = lab.run.parent / "secret"
    lab.put(secret, "mine")
    lab.put(lab.twin / "m" / "tool")
    (lab.twin / "m" / "tool").chmod(0o6755)
    (lab.twin / "m" / "link").symlink_to(secret)
    (lab.twin / "m" / "linked").symlink_to(secret.parent)
    os.mkfifo(lab.twin / "m" / "pipe")
    assert lab.pull("m") == {"m/tool"}
    assert set(files(lab.run)) == {"m/tool"}
    assert not list((lab.run / "m").glob("li*"))
    assert (lab.run / "m" / "tool").stat().st_mode & 0o7000 == 0


def test_a_folder_that_is_missing_there_is_only_trouble(lab: Lab) -> None:
    lab.put(lab.twin / "m" / "x")
    brought, trouble = lab.bring(wanted("gone", "m", "also/gone"))
    assert brought == {"m/x"}
    assert "gone" in trouble and "\n" not in trouble


def test_longest_names(lab: Lab) -> None:
    names = ["n" * 255, "é" * 127, "\N{HIRAGANA LETTER A}" * 85]
    for name in names:
        lab.put(lab.twin / "m" / name)
    assert lab.pull("m") == {f"m/{name}" for name in names}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_only_trouble(lab: Lab) -> None:
    lab.put(lab.twin / "m" / "x")
    lab.put(lab.twin / "m" / "secret")
    (lab.twin / "m" / "secret").chmod(0)
    brought, trouble = lab.bring(wanted("m"))
    assert brought == {"m/x"} and "secret" in trouble


def test_nothing_is_ever_deleted(lab: Lab) -> None:
    lab.put(lab.run / "m" / "only here")
    lab.put(lab.twin / "m" / "only there")
    lab.transfer.push_tree(OURS)
    assert lab.pull("m") == {"m/only there"}
    assert files(lab.run).keys() == files(lab.twin).keys() == {"m/only here", "m/only there"}


# --- troubles of the way ---------------------------------------------------------------


def test_a_connection_that_cannot_be_made(rsync_lab: Lab) -> None:
    rsync_lab.put(rsync_lab.rsh, "#!/bin/sh\necho 'no route to host' >&2\nexit 255\n")
    for act in _acts(rsync_lab):
        with pytest.raises(ConnectionLost, match=r"rsync with me@lab broke off .*no route to host"):
            act()


def test_a_twin_that_is_gone(rsync_lab: Lab) -> None:
    rsync_lab.twin.rmdir()
    for act in _acts(rsync_lab):
        with pytest.raises(ClusterError):
            act()
    assert not rsync_lab.twin.exists()


def test_rsync_is_missing_there(rsync_lab: Lab) -> None:
    empty = rsync_lab.rsh.parent / "bin"
    empty.mkdir()
    rsync_lab.put(rsync_lab.rsh, RSH.replace("exec ", f"PATH='{empty}' exec "))
    for act in _acts(rsync_lab):
        with pytest.raises(ClusterError, match=r"rsync.*not found"):
            act()


def test_rsync_is_missing_here(rsync_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(rsync_lab.rsh.parent))
    for act in _acts(rsync_lab):
        with pytest.raises(ClusterError, match=r"^rsync is not installed on this machine"):
            act()


def _acts(lab: Lab) -> list[Callable[[], object]]:
    lab.put(lab.run / "m" / "x")
    return [
        lambda: lab.transfer.push(["m/x"]),
        lambda: lab.transfer.push_tree(OURS),
        lambda: lab.transfer.pull(wanted("m")),
    ]


def test_a_pull_can_be_stopped(rsync_lab: Lab) -> None:
    """At once, with what came so far here or not, but nothing half."""
    begun = rsync_lab.rsh.parent / "begun"
    rsync_lab.put(rsync_lab.rsh, f"#!/bin/sh\ntouch '{begun}'\nexec sleep 200\n")
    rsync_lab.rsh.chmod(0o755)
    raised: list[BaseException] = []

    def pull() -> None:
        try:
            rsync_lab.transfer.pull(wanted("m"))
        except ClusterError as error:
            raised.append(error)

    thread = threading.Thread(target=pull)
    thread.start()
    end = time.monotonic() + 90
    while not begun.exists() and time.monotonic() < end:
        time.sleep(0.02)
    rsync_lab.transfer.stop()
    thread.join(90)
    assert not thread.is_alive()
    assert isinstance(raised[0], ConnectionLost)


def test_a_stop_before_the_pull_holds_too(lab: Lab) -> None:
    lab.put(lab.twin / "m" / "x")
    lab.transfer.stop()
    with pytest.raises(ConnectionLost):
        lab.transfer.pull(wanted("m"))


def test_the_same_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    same = Same()
    same.push_tree(OURS)
    same.push(["x", "gone"])
    assert bring(same, tmp_path, wanted("")) == (set(), "")
    same.stop()
    assert files(tmp_path) == {"x": "x"}
