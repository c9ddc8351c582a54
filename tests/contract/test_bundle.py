"""The archive that `make contract-bundle` writes is all that a stranger needs."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.conftest import ROOT
from tools import contract_bundle

BUF = ROOT / ".venv/bin/buf"
#: Another Python than ours: it has protoc and grpcio, and nothing of Accredit or googleapis.
STRANGER = ROOT / "build/generate-venv/bin/python"

#: Runs a program in the unpacked folder.
Run: TypeAlias = Callable[..., str]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return contract_bundle.write(tmp_path_factory.mktemp("dist"))


@pytest.fixture
def unpacked(archive: Path, tmp_path: Path) -> Path:
    """The one folder in the archive, in a folder that was empty."""
    subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True)
    (folder,) = tmp_path.iterdir()
    return folder


@pytest.fixture
def run(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """``run("buf", "build")``, by somebody who has nothing else: what it prints."""
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        # Nothing may be fetched: whoever tried would fail here.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "GOPROXY": "off",
    }

    def run(*command: str | Path) -> str:
        made = subprocess.run(command, cwd=unpacked, env=env, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        return made.stdout

    return run


@pytest.fixture
def stranger() -> Path:
    if not STRANGER.exists():
        pytest.fail("build/generate-venv is missing: run `make generate-check`")
    return STRANGER


def test_the_same_tree_makes_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    # In a process of its own, with another hash seed and another mask for new files.
    command = [sys.executable, "-m", "tools.contract_bundle", str(tmp_path)]
    env = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, umask=0o077)
    again = tmp_path / archive.name
    assert again.read_bytes() == archive.read_bytes()
    assert archive.name == f"accredit-contract-{contract_bundle.version()}.tar.gz"


def test_the_archive_tells_nothing_of_who_made_it_and_when(archive: Path) -> None:
    # The time in gzip's own head.
    assert archive.read_bytes()[4:8] == bytes(4)
    with tarfile.open(archive) as packed:
        for entry in packed.getmembers():
            assert (entry.mtime, entry.uid, entry.gid, entry.uname) == (0, 0, 0, "")
            assert (entry.isfile(), entry.mode) == (True, 0o644)


def test_buf_builds_what_the_descriptor_set_says(unpacked: Path, run: Run) -> None:
    run(BUF, "build", "--as-file-descriptor-set", "--output", "built.binpb")
    run(BUF, "lint")
    built, carried = (
        {one.name: one for one in FileDescriptorSet.FromString((unpacked / name).read_bytes()).file}
        for name in ("built.binpb", "descriptors.binpb")
    )
    assert built == carried
    sources = {path.name for path in unpacked.rglob("*.proto")}
    assert {Path(name).name for name in built if "google/protobuf/" not in name} == sources
    assert "error_details.proto" in sources


@pytest.mark.parametrize("source", ["protos", "descriptors.binpb"])
def test_buf_generates_from_the_protos_and_from_the_set(
    unpacked: Path, run: Run, stranger: Path, source: str
) -> None:
    (unpacked / "buf.gen.yaml").write_text(f"""
version: v2
plugins:
  - protoc_builtin: python
    protoc_path: [{stranger}, -m, grpc_tools.protoc]
    out: generated
""")
    run(BUF, "generate", source)
    _import(run, stranger)


def test_protoc_generates_from_the_set_without_an_include_path(
    unpacked: Path, run: Run, stranger: Path
) -> None:
    (unpacked / "generated").mkdir()
    names = [str(path.relative_to(unpacked / "protos")) for path in unpacked.rglob("*.proto")]
    source = "--descriptor_set_in=descriptors.binpb"
    run(stranger, "-m", "grpc_tools.protoc", source, "--python_out=generated", *names)
    _import(run, stranger)


def test_protoc_generates_messages_and_stubs(unpacked: Path, run: Run, stranger: Path) -> None:
    (unpacked / "generated").mkdir()
    sources = [str(path.relative_to(unpacked)) for path in unpacked.rglob("*.proto")]
    outputs = ["--python_out=generated", "--grpc_python_out=generated"]
    run(stranger, "-m", "grpc_tools.protoc", "-I", "protos", *outputs, *sources)
    _import(run, stranger, "import accredit.v1.auth_pb2_grpc as stubs; stubs.AuthServiceStub")


def _import(run: Run, python: Path, more: str = "") -> None:
    """The messages load, make and take JSON, and so do the details of an error."""
    said = run(
        python,
        "-c",
        f"""
import sys
sys.path.insert(0, "generated")
from accredit.v1 import agent_pb2
from google.protobuf import json_format
from google.rpc import error_details_pb2
{more}
agent = agent_pb2.Agent(agent_id=2**60, agent_slug="scribe")
print(json_format.MessageToJson(agent, indent=None))
print(error_details_pb2.ErrorInfo(reason="AGENT_NOT_FOUND").reason)
""",
    )
    assert said.splitlines() == [
        '{"agentId": "1152921504606846976", "agentSlug": "scribe"}',
        "AGENT_NOT_FOUND",
    ]


def test_the_page_has_the_names_that_the_options_give_and_no_link_that_breaks(
    unpacked: Path,
) -> None:
    page = (unpacked / "generating.md").read_text()
    assert page == (ROOT / "docs/generating.md").read_text()
    carried = FileDescriptorSet.FromString((unpacked / "descriptors.binpb").read_bytes())
    (options,) = {
        (
            file.options.go_package.partition(";")[0],
            file.options.java_package,
            file.options.csharp_namespace,
            file.options.php_namespace,
            file.options.ruby_package,
        )
        for file in carried.file
        if file.name.startswith("accredit/")
    }
    for name in options:
        assert f"`{name}`" in page
    # In the archive it stands alone.
    assert all("](https://" in line for line in page.splitlines() if "](" in line)
