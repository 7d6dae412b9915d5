"""A remote shell for rsync that drops what a noisy login shell prints first.

    clean.py MARK COMMAND WORDS...

Runs the command with our standard input, passes over its output up to and including MARK, and
copies the rest; its exit code is ours. Standard library only and run as a file: rsync starts
one for each transfer.
"""

import os
import subprocess
import sys

CHUNK = 1 << 18


def main(mark: bytes, command: list[str]) -> int:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:  # noqa: S603 (our own words)
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
            while rest or (rest := os.read(source, CHUNK)):
                rest = rest[os.write(1, rest) :]
        except BrokenPipeError:
            child.terminate()
        return child.wait()


if __name__ == "__main__":
    code = main(sys.argv[1].encode(), sys.argv[2:])
    sys.exit(code if code >= 0 else 128 - code)
