"""A disk that is full or read-only: a refusal in our words, the old content, and no restart."""

import subprocess
import sys
from pathlib import Path

import pytest

# A mount of one's own needs no more than a user namespace, where the machine allows those.
ALONE = ["unshare", "--user", "--map-root-user", "--mount"]


def run(what: str, folder: Path, *around: str) -> None:
    program = [*around, sys.executable, "-m", "tests.directory.full_disk", what, str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done"), done.stderr


@pytest.mark.parametrize("what", ["full", "read_only"])
def test_a_disk_refuses_in_our_words_and_recovers_by_itself(what: str, tmp_path: Path) -> None:
    if subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk of their own")
    run(what, tmp_path, *ALONE)


def test_a_process_that_may_have_no_more_is_told_so(tmp_path: Path) -> None:
    run("limited", tmp_path)
