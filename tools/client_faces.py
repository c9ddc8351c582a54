"""Writes clients/python/accredit/_faces.pyi: what type checkers and editors are told.

The client makes its methods from the descriptors while it runs; this writes down the same.
`make generate` runs it after a change to protos/.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.message import Message

import accredit
from accredit._methods import SERVICES, Method

PATH = Path(accredit.__file__).parent / "_faces.pyi"

HEAD = '''"""The services as type checkers see them. tools/client_faces.py writes this file."""

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

'''

KINDS = """
_Request = TypeVar("_Request", bound=Message, contravariant=True)
_Response = TypeVar("_Response", bound=Message, covariant=True)

class Call(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> _Response: ...

class Iterate(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> Iterator[_Response]: ...

class AsyncCall(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> Coroutine[Any, Any, _Response]: ...

class AsyncIterate(Generic[_Request, _Response]):
    def __call__(
        self, request: _Request | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> AsyncIterator[_Response]: ...
"""


def text() -> str:
    """The file as it should be."""
    return HEAD + "".join(_imports()) + KINDS + "".join(_faces("")) + "".join(_faces("Async"))


def _imports() -> Iterator[str]:
    calls = [method for methods in SERVICES.values() for method in methods.values()]
    messages = [message for call in calls for message in (call.request, call.response)]
    messages += [_item(call) for call in calls if call.items]
    for name in sorted({_module(message) for message in messages}):
        yield f"from accredit.v1 import {name}_pb2 as {name}\n"


def _faces(prefix: str) -> Iterator[str]:
    """All services, then what a client of that kind has of them."""
    names = {}
    for attribute, methods in SERVICES.items():
        service = next(iter(methods.values())).path.split("/")[1]
        names[attribute] = prefix + service.rpartition(".")[2]
        yield f"\nclass {names[attribute]}:\n"
        yield from _members(prefix, methods)
    yield f"\nclass {prefix}Services:\n"
    yield "    def __init__(self, transport: object) -> None: ...\n"
    yield from (f"    {attribute}: {name}\n" for attribute, name in names.items())


def _members(prefix: str, methods: Mapping[str, Method]) -> Iterator[str]:
    for method in methods.values():
        request, response = _written(method.request), _written(method.response)
        kind = "Iterate" if method.streams else "Call"
        yield f"    {method.name}: {prefix}{kind}[{request}, {response}]\n"
        if method.items:
            yield f"    {method.iterator}: {prefix}Iterate[{request}, {_written(_item(method))}]\n"


def _item(method: Method) -> type[Message]:
    return type(getattr(method.response(), method.items).add())


def _module(message: type[Message]) -> str:
    return Path(message.DESCRIPTOR.file.name).stem


def _written(message: type[Message]) -> str:
    package = message.DESCRIPTOR.file.package
    return f"{_module(message)}.{message.DESCRIPTOR.full_name.removeprefix(package + '.')}"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
