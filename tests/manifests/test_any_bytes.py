"""Whatever a file has in it, reading it ends with definitions or with problems."""

from hypothesis import example, given
from hypothesis import strategies as st

from accredit.manifests import Manifests, read_text

NAMES = st.sampled_from(["a.yaml", "b/c.yml", "é.md", "README.MD", "x.txt", "", "..md"])
PIECES = st.sampled_from(
    [
        *("slug", "name", "agents", "description", "memory_seeds", "SOUL.md", "owner", "a: b: c"),
        *("---", "...", "~", "1", "1e999", ".nan", "0x", "<<", "é", "😀", "\n---\n"),
        *("[", "]", "{", "}", ",", "&", "*", "!", "&a", "*a", "!b", "!!int", "!<x>", "#", "@", "`"),
        *("|", ">", "|2-", "'", '"', "\\", "\\x", "\\u", ": ", ":", "- ", "? "),
        *("\n", "\r\n", "\r", "\t", " ", "  ", "%YAML 1.1\n", "%TAG ! x\n"),
        *("\ufeff", "\x85", "\u2028", "\x07", "\0"),
    ]
)


def _is_sound(manifests: Manifests) -> None:
    assert manifests.definitions or manifests.problems
    for problem in manifests.problems:
        assert problem.message
        assert problem.message.isprintable() or problem.message.isascii()
    for definition in manifests.definitions:
        assert definition.slug.strip() or definition.file.endswith(".md")


@given(NAMES, st.binary(max_size=200))
@example("a.yaml", b"\xff\xfea\x00")
@example("a.md", b"---\n---")
def test_any_bytes(name: str, content: bytes) -> None:
    _is_sound(read_text(name, content))


@given(NAMES, st.lists(PIECES, max_size=40).map("".join))
@example("a.yaml", "agents: []")
def test_any_text_of_what_means_something(name: str, text: str) -> None:
    manifests = read_text(name, text.encode(), lambda path: path.encode())
    if "agents" not in text:
        _is_sound(manifests)


@given(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=20))
def test_any_front_matter(block: str, body: str) -> None:
    _is_sound(read_text("a.md", f"---\n{block}\n---\n{body}".encode()))
