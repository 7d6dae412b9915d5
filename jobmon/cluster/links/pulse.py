"""Whether the far side still lives: it is asked every few seconds, and has to answer.

TCP alone does not notice a connection that is half open: a gateway that forgot it, or a server
that hangs, takes our bytes for a long time yet. Paramiko's own keepalive waits for no answer.
"""

from __future__ import annotations

import threading

import paramiko

from jobmon.cluster.links.sshconfig import KEEPALIVE, UNANSWERED


class Pulse:
    """The questions, in a thread of their own. A dead transport is closed: all its users see it.

    :param every: seconds between two questions, ``KEEPALIVE`` at most
    """

    def __init__(self, transport: paramiko.Transport, every: float) -> None:
        self._transport = transport
        self._every = min(every, KEEPALIVE)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="jobmon-pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more. A question that is under way ends with its transport."""
        self._stopped.set()

    def join(self) -> None:
        """Wait for the thread's end, once it is stopped and the transport closed."""
        self._thread.join(5)

    def _ask(self) -> None:
        transport = self._transport
        while not self._stopped.wait(self._every) and transport.is_active():
            watch = threading.Timer(UNANSWERED * self._every, transport.close)
            watch.daemon = True
            watch.start()
            try:
                transport.global_request("keepalive@openssh.com", wait=True)
            except (paramiko.SSHException, EOFError, OSError):
                transport.close()
            finally:
                watch.cancel()
                watch.join(5)
