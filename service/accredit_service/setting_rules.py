"""What the values of settings may be: each rule reads one, or says what it should have been."""

import enum
import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting is unknown, breaks its rule or does not go with another. The message names it."""


class Reflection(enum.StrEnum):
    """Who may ask which services there are."""

    OFF = "off"
    AUTHENTICATED = "authenticated"
    OPEN = "open"


class LogLevel(enum.StrEnum):
    """The least that is logged. A call is ``info``, a bug ``error``."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    """How a log line looks."""

    JSON = "json"
    TEXT = "text"


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        """As gRPC and people write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            # Any other name may resolve to anything, tomorrow if not today.
            return self.host == "localhost"


def text(value: object) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def path(value: object) -> Path:
    """A path; ``~`` is the home folder."""
    return Path(text(value)).expanduser()


def switch(value: object) -> bool:
    """True, yes, on or 1; false, no, off or 0."""
    words = {"true": True, "yes": True, "on": True, "1": True}
    words |= {"false": False, "no": False, "off": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).lower())
    if found is None:
        raise ValueError("true or false")
    return found


def whole(least: int, most: int) -> Callable[[object], int]:
    """The rule of a whole number within bounds."""

    def parse(value: object) -> int:
        rule = f"a whole number from {least} to {most}"
        # int() alone would take True, 1.9 and the digits of other scripts.
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(rule)
        return value

    return parse


def seconds(least: float, most: float) -> Callable[[object], float]:
    """The rule of a number of seconds within bounds."""

    def parse(value: object) -> float:
        rule = f"seconds, from {least:g} to {most:g}"
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(rule)
        try:
            number = float(value)
        except ValueError:
            raise ValueError(rule) from None
        # Written so that "nan" fails as well.
        if not least <= number <= most:
            raise ValueError(rule)
        return number

    return parse


def one_of(kind: type[enum.StrEnum]) -> Callable[[object], enum.StrEnum]:
    """The rule of one of some words."""

    def parse(value: object) -> enum.StrEnum:
        try:
            return kind(str(value))
        except ValueError:
            raise ValueError(f"one of {', '.join(kind)}") from None

    return parse


def address(value: object) -> Address:
    """An address to listen on."""
    rule = "host:port, such as 127.0.0.1:50051 or [::1]:50051"
    host, separator, port = text(value).rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or not separator or (":" in host and not bracketed):
        raise ValueError(rule)
    if not (port.isascii() and port.isdigit()) or int(port) > 0xFFFF:
        raise ValueError(rule)
    return Address(host[1:-1] if bracketed else host, int(port))


def _items(value: object, rule: str) -> Iterable[object]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list):
        raise ValueError(rule)
    return items


def networks(value: object) -> tuple[Network, ...]:
    """Addresses or networks, with commas between or as a list."""
    rule = "addresses or networks, such as 10.0.0.7,10.1.0.0/16"
    try:
        return tuple(ipaddress.ip_network(text(item).strip()) for item in _items(value, rule))
    except ValueError:
        raise ValueError(rule) from None


def names(value: object) -> tuple[str, ...]:
    """Names, with commas between or as a list."""
    return tuple(text(item).strip() for item in _items(value, "names, with commas between"))
