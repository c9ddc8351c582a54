"""The services of a client as attributes, their calls as methods.

Nothing is written by hand: the methods are made from the descriptors when first asked for.
`_faces.pyi` tells type checkers and editors the same.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from google.protobuf.message import Message

from accredit._methods import SERVICES, Method


class Transport(Protocol):
    """What carries out calls: the synchronous client or the asynchronous one."""

    def call(self, method: Method, request: Message, timeout: float | None) -> Any:
        """Make one call; what a stream answers is an iterator."""
        ...

    def iterate(self, method: Method, request: Message, timeout: float | None) -> Any:
        """Go through the items of all pages."""
        ...


class Services:
    """One attribute for each service of the API."""

    def __init__(self, transport: Transport) -> None:
        for attribute, methods in SERVICES.items():
            setattr(self, attribute, Service(attribute, methods, transport))


class Service:
    """One service. Its methods take a request message, or the fields of one as keywords.

    `timeout` is the one keyword that is not a field: seconds for the whole call, for an
    iterator seconds for each page.
    """

    def __init__(self, name: str, methods: Mapping[str, Method], transport: Transport) -> None:
        self._name = name
        self._transport = transport
        self._methods = methods
        self._iterators = {method.iterator: method for method in methods.values() if method.items}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method, made now and kept."""
        if name.startswith("_"):
            # Before anything of ours is read: copying and pickling probe an object that
            # has nothing yet.
            raise AttributeError(name, name=name, obj=self)
        if name in self._methods:
            made = _python_method(self._methods[name], name, self._transport.call)
        elif name in self._iterators:
            made = _python_method(self._iterators[name], name, self._transport.iterate)
        else:
            raise AttributeError(f"client.{self._name} has no {name!r}", name=name, obj=self)
        setattr(self, name, made)
        return made

    def __dir__(self) -> Iterable[str]:
        return [*self._methods, *self._iterators]

    def __repr__(self) -> str:
        return f"<client.{self._name}>"


def _python_method(
    method: Method, name: str, carry_out: Callable[[Method, Message, float | None], Any]
) -> Callable[..., Any]:
    def call(
        request: Message | None = None, /, *, timeout: float | None = None, **fields: Any
    ) -> Any:
        # Here and not in carry_out: an iterator complains when it is made, not when it is
        # first used, and a coroutine when it is called.
        return carry_out(method, method.new_request(request, fields), timeout)

    call.__name__ = name
    call.__qualname__ = name
    call.__doc__ = (
        f"Call {method.path} with a {method.request.__name__}, answered by "
        f"{method.response.__name__}; accredit.v1 documents both."
    )
    return call
