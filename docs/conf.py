"""The pages as a site: Sphinx with MyST, built by ``scripts/docs`` with warnings as errors.

The pages stay plain Markdown that a code host shows as well. So the order of the site is not
written here: it is read off the headings and links of ``docs/index.md``. The source folder is
the project's own, for the pages that lie at its top.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "jobmon"
about = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
version = release = about["version"]
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md"]
exclude_patterns = [".*", "**/.*"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_title = f"jobmon {version}"
html_show_copyright = False
html_show_sourcelink = False
html_extra_path = ["_site"]  # index.html, which leads to docs/index.html

HEADING = re.compile(r"^## (.+)$", re.M)
ENTRY = re.compile(r"^- \[[^\]]+\]\(([^):#]+)\.md\)", re.M)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#\s]+)\)")


def contents(index: str) -> str:
    """The tables of contents that the headings of the index and the links below them make."""
    parts = HEADING.split(index)[1:]
    return "".join(
        f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"
        for caption, part in zip(parts[::2], parts[1::2], strict=True)
        if (pages := "\n".join(ENTRY.findall(part)))
    )


def adapt(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the contents to the index; of a link to a file that is no page, leave its path."""

    def leave(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), link[2]))
        page = path.removesuffix(".md") in app.env.found_docs
        text = path.endswith(".md") and (ROOT / path).is_file()
        astray = (ROOT / path).is_dir() or (text and not page)
        return f"{link[1]} (`{path}`)" if astray else link[0]

    source[0] = LINK.sub(leave, source[0])
    if name == root_doc:
        source[0] += contents(source[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", adapt)
