"""Writes dist/accredit-contract-VERSION.tar.gz: all that a stranger needs to generate clients.

`make contract-bundle` runs it. The archive has the protos, those that they import, a descriptor
set with comments, and how to generate from them. The same tree makes the same bytes.
"""

import gzip
import io
import sys
import sysconfig
import tarfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

TREE = Path(__file__).resolve().parents[1]
DESCRIPTORS = TREE / "service/accredit_service/contract.binpb"

# Every protoc and buf brings these along. A second copy would make them generate a second
# Timestamp, which collides with the one of the language's protobuf library.
_BUILT_IN = "google/protobuf/"
_OURS = "accredit/"

_BUF_YAML = """\
version: v2
modules:
  - path: protos
lint:
  ignore:
    - protos/google
breaking:
  ignore:
    - protos/google
"""

_README = """\
# The contract of Accredit {version}

Everything that generates a client of Accredit, the registry that accredits AI agents.

- `protos/accredit/v1`: the contract. Its comments are the manual of the API.
- `protos/google`: what it imports, and `google/rpc/error_details.proto`, the types of the details
  that come with an error. They are Google's, from googleapis-common-protos, under the same licence.
- `descriptors.binpb`: all of it as one `google.protobuf.FileDescriptorSet` with comments, for tools
  that take no sources: `buf generate descriptors.binpb`, `grpcurl -protoset descriptors.binpb`.
- `buf.yaml`: this folder is a buf workspace; `buf build` and `buf generate` work in it.
- `generating.md`: the commands for Go, TypeScript, Java, Rust, C# and Python.

With protoc, any of these, into a folder `gen`:

    mkdir -p gen
    protoc -I protos --python_out=gen protos/accredit/v1/*.proto
    protoc --descriptor_set_in=descriptors.binpb --python_out=gen accredit/v1/agent.proto

Apache-2.0: see `LICENSE`.
"""


def version() -> str:
    """The version that the archive is named after."""
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def contents() -> Mapping[str, bytes]:
    """The files of the archive, by their paths inside of it.

    Raises RuntimeError where the committed descriptor set is of other protos than the tree's.
    """
    described = [
        file.name
        for file in FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file
        if not file.name.startswith(_BUILT_IN)
    ]
    ours = {str(path.relative_to(TREE / "protos")) for path in TREE.glob("protos/**/*.proto")}
    if ours != {name for name in described if name.startswith(_OURS)}:
        raise RuntimeError(f"{DESCRIPTORS} is of other protos than protos/: run make generate")
    # The wheel of googleapis-common-protos carries the sources.
    google = Path(sysconfig.get_path("purelib"))
    sources = {
        f"protos/{name}": (TREE / "protos" if name in ours else google) / name for name in described
    }
    return {
        **{path: source.read_bytes() for path, source in sources.items()},
        "LICENSE": (TREE / "LICENSE").read_bytes(),
        "README.md": _README.format(version=version()).encode(),
        "buf.yaml": _BUF_YAML.encode(),
        "descriptors.binpb": DESCRIPTORS.read_bytes(),
        "generating.md": (TREE / "docs/generating.md").read_bytes(),
    }


def write(folder: Path) -> Path:
    """Write the archive into a folder, which is made if it is missing, and return its path."""
    name = f"accredit-contract-{version()}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.tar.gz"
    path.write_bytes(_packed(name, sorted(contents().items())))
    return path


def _packed(root: str, files: Iterable[tuple[str, bytes]]) -> bytes:
    """A compressed archive that tells nothing of when, where and by whom it was made."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path, content in files:
            # A new entry has mode 0644, no owner and a time of 0.
            entry = tarfile.TarInfo(f"{root}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


if __name__ == "__main__":
    print(write(Path(sys.argv[1]) if len(sys.argv) > 1 else TREE / "dist"))
