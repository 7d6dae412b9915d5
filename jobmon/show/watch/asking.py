"""Questions before the live view: may it be done, what a login wants to know, what to look for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from jobmon.core.text import printable


class Question(ModalScreen[bool]):
    """What would be done, and whether it may be. Only ``y`` says yes; nothing else does it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,q", "answer(False)", "no"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self.question = question
        self.ready = False
        self.would = Static(Text("looking what that would do …"))
        self.keys = Static(Text("n  no"))

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(Text(printable(self.question), style="bold"))
            with VerticalScroll():
                yield self.would
            yield self.keys

    def tell(self, lines: Sequence[str], *, able: bool) -> None:
        """Show what it would do; only then can it be answered with yes."""
        self.ready = able
        self.would.update(Text("\n".join(map(printable, lines))))
        self.keys.update(Text("y  yes     n  no" if able else "n  back"))

    def action_answer(self, yes: bool) -> None:
        if not yes or self.ready:
            self.dismiss(yes)


class Line(ModalScreen[str | None]):
    """A line to be typed; None if the person would rather not."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]

    def __init__(self, prompt: str, value: str = "", *, echo: bool = True) -> None:
        super().__init__()
        self.prompt = prompt
        self.value = value
        self.echo = echo

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield Static(Text(printable(self.prompt)))
            yield Input(self.value, password=not self.echo)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)
