"""A TCP proxy on loopback that loses connections: after so many bytes one way, loudly or silently.

``arm`` names the next cut; it is made exactly behind that byte, whichever connection carries it.
Of a connection cut ``half-open`` nothing is read or closed any more, on either side: what a
router does that has forgotten it. All of it happens in one thread's event loop.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

UP, DOWN = "up", "down"
RESET, HALF_OPEN = "reset", "half-open"

_LINGER_0 = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on ``port`` of 127.0.0.1 and passes everything on to ``target`` there."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.made = 0  # connections so far
        self.cuts = 0
        self._target = target
        self._down = False
        self._cut: tuple[str, str, int] | None = None  # way, how, bytes left
        self._lines: set[_Line] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def arm(self, way: str, how: str, size: int) -> None:
        """Cut behind the ``size``-th byte from now that goes ``way``."""
        self._do(lambda: setattr(self, "_cut", (way, how, size)))

    @property
    def armed(self) -> bool:
        return self._cut is not None

    @property
    def standing(self) -> int:
        """How many connections there are, half-open ones too."""
        return len(self._lines)

    def down(self, is_down: bool) -> None:
        """While down, all that stand are reset, and so is everyone who comes."""

        def change() -> None:
            self._down = is_down
            if is_down:
                self._reset_all()

        self._do(change)

    def reset_all(self) -> None:
        """Reset everything that stands, half-open ones too; disarms."""
        self._do(self._reset_all)

    def _reset_all(self) -> None:
        self._cut = None
        for line in list(self._lines):
            line.end(reset=True)

    def _do(self, act: Callable[[], object]) -> None:
        async def there() -> None:
            made = act()
            if asyncio.iscoroutine(made):
                await made

        asyncio.run_coroutine_threadsafe(there(), self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await self._loop.create_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        self._reset_all()
        await asyncio.sleep(0)  # the transports close in the loop's next turn

    def _accept(self) -> _End:
        self.made += 1
        line = _Line(self)
        self._lines.add(line)
        return line.near

    async def connect(self, line: _Line) -> None:
        """Join the line to the target, or end it."""
        if self._down:
            line.end(reset=True)
            return
        try:
            await self._loop.create_connection(lambda: line.far, "127.0.0.1", self._target)
        except OSError:
            line.end(reset=True)
        else:
            line.near.transport.resume_reading()

    def meter(self, way: str, data: bytes) -> tuple[bytes, str]:
        """What of ``data`` still gets through, and how the line is to be cut behind it, or ''."""
        if self._cut is None or self._cut[0] != way:
            return data, ""
        _, how, left = self._cut
        if len(data) < left:
            self._cut = (way, how, left - len(data))
            return data, ""
        self._cut = None
        self.cuts += 1
        return data[:left], how

    def forget(self, line: _Line) -> None:
        self._lines.discard(line)


class _Line:
    """One connection through the proxy: ``near`` is who called, ``far`` the server."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.frozen = False
        self.near = _End(self, UP)
        self.far = _End(self, DOWN)

    def freeze(self) -> None:
        self.frozen = True
        for end in (self.near, self.far):
            end.transport.pause_reading()

    def end(self, *, reset: bool) -> None:
        self.proxy.forget(self)
        for end in (self.near, self.far):
            if end.transport is not None:
                end.hang_up(reset=reset)


class _End(asyncio.Protocol):
    """One side of a line; what it hears goes ``way``."""

    transport: asyncio.Transport = cast(asyncio.Transport, None)

    def __init__(self, line: _Line, way: str) -> None:
        self._line = line
        self._way = way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._way == UP:
            self.transport.pause_reading()  # until there is somebody to pass it on to
            self._joining = asyncio.ensure_future(self._line.proxy.connect(self._line))

    def data_received(self, data: bytes) -> None:
        line = self._line
        if line.frozen:
            return
        through, cut = line.proxy.meter(self._way, data)
        (line.far if self._way == UP else line.near).transport.write(through)
        if cut == HALF_OPEN:
            line.freeze()
        elif cut:
            line.end(reset=True)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._line.frozen:
            self._line.end(reset=False)

    def hang_up(self, *, reset: bool) -> None:
        if not reset:
            self.transport.close()
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.transport.abort()
