"""What memory files begin with: texts in the manifest, and files beside it."""

import re
from collections.abc import Callable
from typing import Any

from accredit.manifests.checking import SCHEMA
from accredit.manifests.decoding import NotText, decoded
from accredit.manifests.nodes import Node
from accredit.manifests.problems import Findings, Invalid

_TEXT = next(iter(SCHEMA["$defs"]["seed"]["properties"]))
_RULE = f"the path of a file, or a map with {_TEXT}"

#: What reads a file for a manifest, by its path from there: OSError if it cannot be read,
#: ValueError, with the rule, if it must not be.
Reader = Callable[[str], bytes]


def is_seed(node: Node) -> bool:
    """Whether it has the type of a seed: a path, a map with a text, or nothing."""
    if isinstance(node.value, dict):
        node = node.value.get(_TEXT, Node(node.line, {}))
        return isinstance(node.value, str)
    return isinstance(node.value, str | None)


class Seeds:
    """The seeds of one manifest."""

    def __init__(self, reader: Reader | None) -> None:
        self._reader = reader
        # Ten thousand definitions may name the same file, and need one text.
        self._texts: dict[str, str] = {}

    def read(self, node: Node, findings: Findings) -> dict[str, str] | None:
        """The texts by the names of the memory files; None if there is nothing there.

        A file that is not there is noticed and left out. Raises Invalid for anything else that is
        wrong.
        """
        if node.value is None and not node.refused:
            return None
        if not isinstance(node.value, dict):
            raise Invalid(node.line, "memory_seeds", node.refused or "a map")
        found: dict[str, str] = {}
        for key, seed in node.value.items():
            path = f"memory_seeds.{key}"
            text = self._text(seed, path, findings)
            name = re.split(r"[/\\]", key)[-1].strip()
            if name in ("", ".", ".."):
                findings.notice(seed.line, path, "not the name of a file, so it is ignored")
            elif text is not None:
                if name in found:
                    findings.notice(seed.line, path, f"{name} has a seed above, this one counts")
                found[name] = text
        return found

    def _text(self, seed: Node, path: str, findings: Findings) -> str | None:
        if isinstance(seed.value, dict):
            return _inline(seed.value, seed.line, path, findings)
        if seed.refused or not isinstance(seed.value, str | None):
            raise Invalid(seed.line, path, seed.refused or _RULE)
        if not seed.value:
            findings.notice(seed.line, path, "no path, so it is ignored")
            return None
        try:
            return self._of_file(seed.value)
        except OSError as error:
            reason = (error.strerror or "not readable").lower()
            findings.notice(
                seed.line,
                path,
                f"{seed.value!r}: {reason}; what memory files usually begin with counts",
            )
            return None
        except NotText as error:
            where = f"{seed.value}:{error.line}" if error.line else seed.value
            raise Invalid(seed.line, path, f"{where}: {error.message}") from error
        except ValueError as error:
            raise Invalid(seed.line, path, f"{seed.value!r}: {error}") from error

    def _of_file(self, path: str) -> str:
        if path not in self._texts:
            if self._reader is None:
                raise FileNotFoundError(0, "there is no folder to read it from")
            self._texts[path] = decoded(self._reader(path))
        return self._texts[path]


def _inline(entries: dict[str, Node], line: int, path: str, findings: Findings) -> str:
    for key, inner in entries.items():
        if key != _TEXT:
            findings.notice(inner.line, f"{path}.{key}", "not a field of a seed, so it is ignored")
    node: Any = entries.get(_TEXT, Node(line, None))
    if node.refused or not isinstance(node.value, str):
        raise Invalid(node.line, f"{path}.{_TEXT}", node.refused or "a text")
    return str(node.value)
