"""docs/verify_changes.py as an outsider runs it: a program of its own that reads JSON."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, MessageToJson

PROGRAM = Path(__file__).parents[1] / "docs" / "verify_changes.py"


def verified(text: str, *arguments: str) -> tuple[int, str]:
    """Its exit code, and what it says of the JSON."""
    done = subprocess.run(
        # Isolated: without what is installed here, and without the tree.
        [sys.executable, "-I", "-S", PROGRAM, *arguments],
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, (done.stdout + done.stderr).decode().strip()


def as_grpcurl(replies: Iterable[Any]) -> str:
    """Replies one after the other, without fields that have their defaults."""
    return "\n".join(MessageToJson(reply) for reply in replies)


def as_values(replies: Iterable[Any]) -> list[dict[str, Any]]:
    """The changes of the replies, to be tampered with."""
    return [MessageToDict(change) for reply in replies for change in reply.changes]


def as_list(changes: Iterable[dict[str, Any]]) -> str:
    """The changes as the command line prints them."""
    return json.dumps(list(changes), indent=2, ensure_ascii=False)
