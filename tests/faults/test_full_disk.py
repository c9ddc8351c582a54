"""A disk that is full or read-only: refusals in words, and all that needs no file goes on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.directory import test_full_disk

# In a user namespace of its own root could not get at the database's socket, which is another's.
ALONE = ["unshare", "--mount"] if os.geteuid() == 0 else test_full_disk.ALONE


@pytest.mark.parametrize("what", ["full", "read_only", "limited"])
def test_a_server_outlives_a_disk_that_takes_no_writes(
    what: str, database_url: str, tmp_path: Path
) -> None:
    program = [sys.executable, "-m", "tests.faults.full_disk", what, database_url, str(tmp_path)]
    if what != "limited":
        if subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount a disk of their own")
        program = [*ALONE, *program]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done"), done.stderr
