"""The command in a process of its own, where a test needs one: signals, pipes, terminals."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

COMMAND = (sys.executable, "-c", "from accredit.cli import main; main()")
# Passwords are read from the controlling terminal, which is then not the tests' own.
_ON_ITS_TERMINAL = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "from accredit.cli import main; main()"
)
#: Nothing here takes as long as this, in seconds; what would hang fails instead.
PATIENCE = 40


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Ours without what is set for another Accredit, and with these."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")}
    return {**ours, **variables}


def start(words: Sequence[str], variables: Mapping[str, str], **more: Any) -> subprocess.Popen[str]:
    """Start the command, as a shell starts it at its prompt: Ctrl-C reaches it.

    What runs in the background of a script ignores that, and all that it starts does too.
    """
    return subprocess.Popen(
        [*COMMAND, *words],
        text=True,
        env=environment(variables),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **more,
    )


def run(
    words: Sequence[str], variables: Mapping[str, str], **more: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *words],
        text=True,
        env=environment(variables),
        timeout=PATIENCE,
        check=False,
        **{"stdin": subprocess.DEVNULL, "capture_output": True, **more},
    )


def on_terminal(
    words: Sequence[str], variables: Mapping[str, str], *, asked: str = "", typed: str = ""
) -> tuple[int, str]:
    """Run the command on a terminal of its own: its exit code, and all that is to be seen there.

    What is ``typed`` is typed once what is ``asked`` stands there.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_ITS_TERMINAL, *words],
        env=environment({"TERM": "xterm", "COLUMNS": "160", **variables}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        seen = _read(ours, until=asked.encode()) if asked else b""
        os.write(ours, typed.encode())
        seen += _read(ours)
        return process.wait(PATIENCE), seen.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)
        process.kill()
        process.wait(PATIENCE)


def _read(terminal: int, until: bytes | None = None) -> bytes:
    seen = b""
    # Linux ends a terminal that nobody holds any more with an error.
    with suppress(OSError):
        while until is None or until not in seen:
            part = os.read(terminal, 65536)
            if not part:
                break
            seen += part
    return seen
