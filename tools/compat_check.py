"""Imports every module of the installed client and sends each message through the wire form.

`tools/compat.sh` runs it once for each set of libraries. Modules that need an extra
are the command's; they are named here, so that no other module comes to need one.
"""

import importlib
import pkgutil
import sys
from importlib import metadata

from google.protobuf import descriptor_pool, message_factory

COMMAND = "accredit.cli"


def modules(package: str) -> list[str]:
    """The package and all that is in it, without what belongs to the command."""
    found = importlib.import_module(package)
    names = [package]
    for entry in pkgutil.iter_modules(found.__path__, f"{package}."):
        if entry.name == COMMAND:
            continue
        names += modules(entry.name) if entry.ispkg else [entry.name]
    return names


def main() -> None:
    """Print one line on what was tried; any failure is a traceback."""
    names = modules("accredit")
    for name in names:
        importlib.import_module(name)
    generated = [name for name in names if name.endswith("_pb2")]
    messages = 0
    for name in generated:
        file = f"{name.removesuffix('_pb2').replace('.', '/')}.proto"
        for descriptor in (
            descriptor_pool.Default().FindFileByName(file).message_types_by_name.values()
        ):
            message = message_factory.GetMessageClass(descriptor)()
            assert type(message).FromString(message.SerializeToString()) == message
            messages += 1
    versions = ", ".join(
        f"{name} {metadata.version(name)}"
        for name in ("protobuf", "grpcio", "googleapis-common-protos")
    )
    print(f"compat: {len(names)} modules, {messages} messages: {versions}")
    if not generated:
        sys.exit("compat: the wheel has no generated code")


main()
