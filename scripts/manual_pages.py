"""What the manual shows beside docs/: files of the repository that its pages link to, and the list of decisions.

A hook of mkdocs (mkdocs.yml). Pages are written so that they read well where the repository is browsed: links to other
files lead out of docs/, and tables and lists may follow a line of text. Here both become what mkdocs wants.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SHOWN = PurePosixPath("repository")
"""Where files of the repository lie in the manual."""
PAGES = ("SCOPE.md", "CONTRIBUTING.md")
_LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)")
_FENCE = re.compile(r"^\s*(```|~~~)")
_ITEM = re.compile(r"^([-*]|\d+\.) ")


def on_config(config: Any) -> Any:
    """Add each decision to the navigation, in order."""
    pages = sorted(Path(config.docs_dir, "decisions").glob("0*.md"))
    for part in config.nav:
        if "Architecture" in part:
            part["Architecture"] += [f"decisions/{one.name}" for one in pages]
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Add what pages link to outside of docs/."""
    pages = [ROOT / one for one in PAGES]
    linked = {one for page in [*Path(config.docs_dir).rglob("*.md"), *pages] for one in outside(page)}
    folders = sorted(one for one in linked if one.is_dir())
    inside = {file for folder in folders for file in folder.iterdir()}
    for folder in folders:
        files.append(File.generated(config, shown(folder) + "/index.md", content=listing(folder)))
    for one in sorted({*pages, *linked, *inside}):
        if one.is_file():
            files.append(File.generated(config, shown(one), abs_src_path=str(one)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Lead links to where files lie in the manual, and set tables and lists apart."""
    source = page.file.src_uri
    own = ROOT / source.removeprefix(f"{SHOWN}/") if source.startswith(f"{SHOWN}/") else ROOT / "docs" / source

    def led(match: re.Match[str]) -> str:
        target = Path(posixpath.normpath(own.parent / match[1]))
        return posixpath.relpath(place(target), posixpath.dirname(source) or ".") if target.exists() else match[1]

    return apart(_LINK.sub(led, markdown))


def place(target: Path) -> str:
    """Return where a file or folder of the repository is in the manual."""
    docs = ROOT / "docs"
    if target.is_relative_to(docs) and target.is_file():
        return target.relative_to(docs).as_posix()
    return shown(target) + ("/index.md" if target.is_dir() else "")


def shown(target: Path) -> str:
    """Return the place of what does not lie in docs/."""
    return (SHOWN / target.relative_to(ROOT).as_posix()).as_posix()


def outside(page: Path) -> set[Path]:
    """Return the files and folders outside of docs/ that a page links to."""
    found = {Path(posixpath.normpath(page.parent / one)) for one in _LINK.findall(page.read_text(encoding="utf-8"))}
    return {one for one in found if one.is_relative_to(ROOT) and place(one).startswith(f"{SHOWN}/")}


def listing(folder: Path) -> str:
    """Return a page that lists the files of a folder."""
    files = sorted(one.name for one in folder.iterdir() if one.is_file())
    return f"# {folder.relative_to(ROOT)}\n\n" + "".join(f"- [{one}]({one})\n" for one in files)


def apart(markdown: str) -> str:
    """Return the text with an empty line before each table, list and block of code that follows a line of text."""
    lines: list[str] = []
    inside = False
    for line in markdown.splitlines():
        before = lines[-1] if lines else ""
        if _FENCE.match(line):
            if not inside and before.strip():
                lines.append("")
            inside = not inside
        elif not inside and before.strip() and not before.startswith(" "):
            table = line.startswith("|") and not before.startswith("|")
            if table or (_ITEM.match(line) and not _ITEM.match(before)):
                lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"
