"""The pictures of docs/ show what the program prints now, and each stands on a page."""

from __future__ import annotations

from pathlib import Path

import pictures
from test_docs import PAGES


def test_the_pictures_are_what_is_printed(tmp_path: Path) -> None:
    old = [
        name
        for name, text in pictures.screens(tmp_path)
        if pictures.words((pictures.FOLDER / f"{name}.svg").read_text("utf-8"))
        != pictures.words(pictures.drawn(name, text))
    ]
    assert old == [], "scripts/docs-pictures draws them anew"


def test_every_picture_is_made_and_shown_and_fetches_nothing() -> None:
    found = {path.stem: path.read_text("utf-8") for path in pictures.FOLDER.iterdir()}
    assert found.keys() == pictures.SHOWN.keys() | {"watch"}  # that by watch_picture.py
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    assert [name for name in found if f"pictures/{name}.svg)" not in pages] == []
    assert [name for name, svg in found.items() if "url(http" in svg or "@font-face" in svg] == []


def test_other_words_are_another_picture() -> None:
    one = pictures.drawn("status", "finished   6\n\x1b[31mfailed\x1b[0m     1\n")
    assert pictures.words(one) == pictures.words(pictures.drawn("status", "finished 7\nfailed 2"))
    assert pictures.words(one) != pictures.words(pictures.drawn("status", "finished 6\nkilled 1"))
