"""A remote shell for rsync that drops what a noisy login shell prints first.

    clean.py MARK COMMAND WORDS...

Runs the command with our standard input, passes over its output up to and including MARK, and
copies the rest; its exit code is ours. Standard library only and run as a file: rsync starts
one for each transfer.
"""

import os
import subprocess
import sys

CHUNK = 1 << 20


def shell(mark: str, words: list[str]) -> list[str]:
    """The words of a remote shell, without what it prints up to ``mark`` if one is given."""
    return [sys.executable, "-S", "-E", __file__, mark, *words] if mark else words


def main(mark: bytes, command: list[str]) -> int:
    with subprocess.Popen(  # noqa: S603 (our own words)
        command, stdout=subprocess.PIPE, bufsize=0, pipesize=CHUNK
    ) as child:
        source = child.stdout.fileno() if child.stdout else -1
        head = b""
        while mark not in head:
            piece = os.read(source, CHUNK)
            if not piece:
                return child.wait() or 255
            head = (head + piece)[-CHUNK:]
        rest = head.partition(mark)[2]
        os.set_blocking(1, True)  # rsync gives us a pipe that is not
        try:
            while rest:
                rest = rest[os.write(1, rest) :]
            _copy(source)
        except BrokenPipeError:
            child.terminate()
        return child.wait()


def _copy(source: int) -> None:
    """Copy to our standard output, inside the kernel where it can do that."""
    if sys.platform == "linux":
        try:
            while os.splice(source, 1, CHUNK):
                pass
            return
        except BrokenPipeError:
            raise
        except OSError:
            pass  # nothing is lost: it moved all or nothing of a piece
    while rest := os.read(source, CHUNK):
        while rest:
            rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    code = main(sys.argv[1].encode(), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
