"""What ``ssh`` runs to ask a question: ``askpass.py SOCKET PROMPT``.

It relays the prompt to the jobmon that started ssh and prints the answer. Standard library only.
"""

import socket
import sys


def main(path: str, prompt: str) -> int:
    """Exit code 0 with the answer on stdout, 1 for no answer."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(prompt.encode("utf-8", "replace"))
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as reader:
                answer = reader.read()
    except OSError:
        return 1
    if not answer:
        return 1
    sys.stdout.buffer.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], " ".join(sys.argv[2:])))
