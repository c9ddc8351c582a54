"""`make run` as a reader of the docs has it, and what they would paste into another terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[2]
# A shell and a Python that are fed one block after another.
_SHELL = 'while read -r file; do . "$file"; echo; echo "$0 is done"; done'
_PYTHON = """
import sys
space = {"__name__": "__main__"}
for line in sys.stdin:
    exec(compile(open(line.strip()).read(), line.strip(), "exec"), space)
    print("\\n" + sys.argv[1] + " is done", flush=True)
"""


def environment() -> dict[str, str]:
    """Ours, without settings of Accredit's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACCREDIT_")}


@dataclass(frozen=True)
class Trying:
    """A server as `make run` starts it. ``said`` is what it printed."""

    address: str
    folder: Path
    said: str
    process: "subprocess.Popen[str]"

    @property
    def to_paste(self) -> list[str]:
        """The lines that it asks one to paste."""
        return [line.strip() for line in self.said.splitlines() if line.startswith("    ")]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal, as Ctrl-C does; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def trying(folder: Path, listen: str = "127.0.0.1:0") -> Generator[Trying]:
    """`make run` with its data in a folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.run"],
        cwd=ROOT,
        env={**environment(), "ACCREDIT_DATA_DIR": str(folder), "ACCREDIT_LISTEN": listen},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said, address = "", ""
    try:
        for line in process.stdout:
            said += line
            if line.startswith("listening on "):
                address = line.split()[-1]
            if line.startswith("Ctrl-C"):
                break
        yield Trying(address, folder, said, process)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


class Session:
    """A program that takes one block after another and keeps what they left: names, variables."""

    def __init__(self, name: str, folder: Path, command: list[str], env: Mapping[str, str]) -> None:
        self._name = name
        self._folder = folder
        self._blocks = 0
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: str) -> str:
        """What the block prints. An AssertionError if it fails."""
        self._blocks += 1
        file = self._folder / f"{self._name}-{self._blocks}"
        file.write_text(block)
        stdin, stdout = self._pipes()
        stdin.write(f"{file}\n")
        stdin.flush()
        said = ""
        for line in stdout:
            if line == f"{self._name} is done\n":
                return said
            said += line
        raise AssertionError(f"this block failed:\n{block}\nand said:\n{said}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes():
            pipe.close()
        self._process.wait(30)

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def shell(folder: Path, env: Mapping[str, str]) -> Session:
    """A shell that ends at the first command which fails."""
    return Session("sh", folder, ["bash", "-eo", "pipefail", "-c", _SHELL, "sh"], env)


def python(folder: Path, env: Mapping[str, str]) -> Session:
    """A Python that ends at the first exception."""
    return Session("python", folder, [sys.executable, "-c", _PYTHON, "python"], env)
