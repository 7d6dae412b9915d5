"""What rsync runs in the place of ssh: ``bridge.py SOCKET [-MMARK] [-l USER] HOST COMMAND...``.

It hands its own stdin, stdout and stderr to the process that holds the connection (tunnel.py),
which moves the bytes itself, waits there for the exit code, and exits with it. Standard library
only, and little of it: it is started for every transfer.

On the socket: three descriptors with the length (4 bytes, big endian) of a line with the mark, up
to which output is dropped there, and the command behind it; back comes one byte, the exit code.
Nothing coming back means the connection broke.
"""

import os
import socket
import sys

LOST = 255


def main(argv: list[str]) -> int:
    """Returns the remote exit code, 255 if there is none, as ssh does."""
    path, *words = argv
    mark = ""
    while words and words[0].startswith("-"):
        if words[0].startswith("-M"):
            mark = words[0][2:]
        del words[: 2 if words[0] == "-l" else 1]
    command = os.fsencode(f"{mark}\n" + " ".join(words[1:]))
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            socket.send_fds(sock, [len(command).to_bytes(4, "big")], [0, 1, 2])
            sock.sendall(command)
            code = sock.recv(1)
    except OSError as error:
        sys.stderr.write(f"jobmon: no connection to lend to rsync: {error.strerror}\n")
        return LOST
    return code[0] if code else LOST


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(LOST)
