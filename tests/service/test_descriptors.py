"""The descriptor set that the server carries, and the command that hands it out."""

import os
import pty
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from accredit.v1 import errors_pb2, types_pb2
from tests.conftest import ROOT
from tests.server import MODULES

COMMAND = [sys.executable, "-m", "accredit_service.cli", "descriptors"]
CARRIED = ROOT / "service/accredit_service/contract.binpb"


def test_the_set_goes_to_standard_output_or_into_a_file(tmp_path: Path) -> None:
    said = subprocess.run(COMMAND, check=True, capture_output=True).stdout
    assert said == CARRIED.read_bytes()
    file = tmp_path / "contract.binpb"
    told = subprocess.run([*COMMAND, "--output", str(file)], check=True, capture_output=True)
    assert (file.read_bytes(), told.stdout) == (said, b"")


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "contract.binpb"
    made = subprocess.run([*COMMAND, "--output", str(missing)], capture_output=True, text=True)
    assert made.returncode == 1
    assert made.stderr == f"accredit-server: {missing}: no such file or directory\n"


def test_nothing_binary_is_written_to_a_terminal() -> None:
    ours, terminal = pty.openpty()
    made = subprocess.run(COMMAND, stdout=terminal, stderr=subprocess.PIPE, text=True)
    os.set_blocking(ours, False)
    os.close(terminal)
    # An error is how Linux says that nothing was written and nobody will.
    with suppress(OSError):
        assert os.read(ours, 1) == b""
    os.close(ours)
    assert made.returncode == 2
    assert "--output" in made.stderr


def test_the_set_has_all_that_the_contract_needs_in_an_order_that_loads() -> None:
    carried = FileDescriptorSet.FromString(CARRIED.read_bytes()).file
    pool = DescriptorPool()
    for file in carried:
        pool.Add(file)
    names = {file.name for file in carried}
    assert names >= {"google/rpc/status.proto", "google/rpc/error_details.proto"}
    for module in (errors_pb2, types_pb2, *MODULES):
        ours = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(ours)
        found = FileDescriptorProto()
        pool.FindFileByName(ours.name).CopyToProto(found)
        # The one has spelt out what JSON calls each field, the other has not.
        for message in [*ours.message_type, *found.message_type]:
            _forget_json_names(message)
        assert found == ours
    assert {name for name in names if name.startswith("accredit/")} == {
        module.DESCRIPTOR.name for module in (errors_pb2, types_pb2, *MODULES)
    }


def _forget_json_names(message: DescriptorProto) -> None:
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        _forget_json_names(nested)


def test_the_servers_wheel_carries_it(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        assert packed.read("accredit_service/contract.binpb") == CARRIED.read_bytes()
