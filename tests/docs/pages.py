"""The pages of the documentation, and the pieces of Markdown that tests look at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and its text."""

    language: str
    text: str


def pages() -> list[Path]:
    """Every page that is ours."""
    found = [README, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    return sorted([*found, *(ROOT / "examples").rglob("*.md"), *(ROOT / "clients").rglob("*.md")])


def blocks(page: Path, heading: str = "") -> list[Block]:
    """The fenced blocks of a page, or of one section of it, in their order."""
    text = page.read_text()
    if heading:
        text = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [Block(*match.groups()) for match in _FENCE.finditer(text)]


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Where the page's own links lead: a path, and an anchor or nothing."""
    for target in _LINK.findall(_CODE.sub("", page.read_text())):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """The anchors that the page's headings make."""
    headings = (heading.lower() for heading in _HEADING.findall(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def rows(page: Path) -> list[list[str]]:
    """The rows of every table of the page, as cells, without their heads."""
    found, inside = [], False
    for line in page.read_text().splitlines():
        if not line.startswith("|"):
            inside = False
        elif set(line) <= set("| -:"):
            inside = True
        elif inside:
            found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found
