"""The near end of bridge.py: lends the one connection to rsync.

Each rsync sends its three descriptors over a socket that only this user can open; a channel is
opened for it, and the bytes are moved straight between the two. An rsync that ends early closes
its channel, a channel that breaks is exit code 255, as from ssh.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import paramiko

from jobmon.cluster.base import ClusterError
from jobmon.cluster.links import flow, private

Session = Callable[[bytes], AbstractContextManager[paramiko.Channel]]
_PIECE = 1 << 17
_END = 5.0  # seconds between the end of the output and the exit code


class Tunnel:
    """Listens until it is closed. ``session`` runs a command on a new channel."""

    def __init__(self, session: Session, where: str) -> None:
        self._session = session
        self._where = where
        self._folder = private.make()
        self.path = self._folder / "s"
        self._listener = private.listen(self.path)
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._start(self._accept)

    def alive(self) -> bool:
        """False once a cleaner of old files has taken the socket away."""
        return self.path.exists()

    def close(self) -> None:
        """End all transfers, the threads and the folder."""
        with self._lock:
            self._closed = True
            for sock in [self._listener, *self._open]:
                _shutdown(sock)
            threads = list(self._threads)
        if self.path.exists():
            _poke(self.path)  # macOS does not wake an accept by a shutdown
        for thread in threads:
            thread.join(5)
        self._listener.close()
        private.remove(self._folder)

    def _start(self, work: Callable[..., None], *args: socket.socket) -> None:
        def run() -> None:
            try:
                work(*args)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        thread = threading.Thread(target=run, name="jobmon-bridge", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closed:
                    sock.close()
                    return
                self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with ExitStack() as stack:
            stack.callback(sock.close)
            stack.callback(self._open.discard, sock)
            try:
                command, fds = _receive(sock)
            except OSError:
                return
            for fd in fds:
                stack.callback(os.close, fd)
            if len(fds) != 3:
                return
            try:
                mark, _, words = command.partition(b"\n")
                with self._session(words) as channel:
                    code = _pump(channel, sock, fds, self._where, mark)
            except (ClusterError, OSError, paramiko.SSHException, EOFError) as error:
                _complain(fds[2], error)
                return
            _answer(sock, code)


def _receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    head, fds, _, _ = socket.recv_fds(sock, 4, 3)
    with ExitStack() as stack:
        for fd in fds:
            stack.callback(os.close, fd)
        while len(head) < 4:
            head += _some(sock, 4 - len(head))
        size = int.from_bytes(head, "big")
        command = b""
        while len(command) < size:
            command += _some(sock, size - len(command))
        stack.pop_all()
    return command, fds


def _some(sock: socket.socket, size: int) -> bytes:
    data = sock.recv(size)
    if not data:
        raise OSError("the bridge went away")
    return data


def _pump(
    channel: paramiko.Channel, sock: socket.socket, fds: list[int], where: str, mark: bytes
) -> int:
    """Move the bytes until the command ends; its exit code, 255 if a signal ended it."""
    near_in, near_out, near_err = fds
    up = threading.Thread(target=_upload, args=(channel, near_in, sock), daemon=True)
    up.start()
    try:
        silence = flow.Silence()
        heard = flow.read(
            channel, lambda text: _write(near_err, text, sock), silence, float("inf"), where
        )
        for data in _behind(mark, heard):
            _write(near_out, data, sock)
        channel.status_event.wait(_END)
        return channel.exit_status if 0 <= channel.exit_status < 256 else 255
    finally:
        flow.close(channel)
        _shutdown(sock, socket.SHUT_RD)
        up.join(5)


def _behind(mark: bytes, heard: Iterator[bytes]) -> Iterator[bytes]:
    """What comes after the mark: a noisy login shell speaks first."""
    noise = b""
    for data in heard if mark else ():
        noise += data
        if mark in noise:
            yield noise.partition(mark)[2]
            break
        noise = noise[-len(mark) :]
    yield from heard


def _upload(channel: paramiko.Channel, near: int, sock: socket.socket) -> None:
    """rsync's output to the channel, to its end; closes the channel once the bridge is gone."""
    poll = select.poll()
    poll.register(near, select.POLLIN)
    poll.register(sock, select.POLLIN)
    while not channel.closed:
        ready = dict(poll.poll())
        if sock.fileno() in ready:
            flow.close(channel)
            return
        if near not in ready:
            continue
        try:
            data = os.read(near, _PIECE)
        except BlockingIOError:
            continue
        except OSError:
            data = b""
        if not data:
            flow.shut(channel)
            poll.unregister(near)
        elif not flow.send(channel, data, bool, lambda: _readable(sock)):
            flow.close(channel)
            return


def _readable(sock: socket.socket) -> bool:
    """The bridge says nothing after its command: readable means that it is gone."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _write(fd: int, data: bytes, sock: socket.socket) -> None:
    """Write everything to rsync, which may have made its end non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.register(sock, select.POLLIN)
            if sock.fileno() in dict(poll.poll()):
                raise OSError("rsync went away") from None


def _complain(fd: int, error: BaseException) -> None:
    try:
        os.write(fd, f"jobmon: {error}\n".encode("utf-8", "replace"))
    except OSError:
        return  # rsync has gone, and with it whoever would have read this


def _answer(sock: socket.socket, code: int) -> None:
    try:
        sock.sendall(bytes([code]))
    except OSError:
        return  # the same


def _shutdown(sock: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    try:
        sock.shutdown(how)
    except OSError:
        return  # it is not connected any more


def _poke(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return  # nobody listens any more
