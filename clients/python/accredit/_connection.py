"""Where the server is and how the way there is protected.

A bearer token is as good as a password, so plaintext is for this machine only: anything
that is not certainly loopback or a Unix socket gets TLS, unless the caller says `insecure`.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

OPTIONS: tuple[tuple[str, Any], ...] = (
    # See _retries: one layer repeats calls, and it is ours.
    ("grpc.enable_retries", 0),
    # The default of 1 s outlasts most of our own waits, and every attempt until then
    # would fail on the same broken connection.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # A full page of changes or a full batch of agents with large configs is beyond the
    # default of 4 MiB.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    # A server that is gone without a word is noticed within 15 s, also between two calls.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
"""Set on every channel; the caller's own options win."""


_HOST_PORT = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A server's address, how to reach it, and gRPC's settings for it."""

    address: str
    credentials: grpc.ChannelCredentials | None
    """None: plaintext."""
    options: tuple[tuple[str, Any], ...]


def connection(
    address: str | None,
    *,
    ca_file: str | os.PathLike[str] | None = None,
    credentials: grpc.ChannelCredentials | None = None,
    insecure: bool = False,
    options: Sequence[tuple[str, Any]] = (),
) -> Connection:
    """How to reach the address. Raises ValueError for contradictions, OSError for the file."""
    address = address or os.environ.get("ACCREDIT_ADDRESS")
    if not address:
        raise ValueError("no address: give one or set ACCREDIT_ADDRESS")
    if sum((ca_file is not None, credentials is not None, insecure)) > 1:
        raise ValueError("ca_file, credentials and insecure exclude each other")
    if ca_file is None and credentials is None and not insecure:
        ca_file = os.environ.get("ACCREDIT_CA_FILE") or None
    if ca_file is not None:
        credentials = grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    elif credentials is None and not insecure and not is_local(address):
        credentials = grpc.ssl_channel_credentials()
    settings = dict(OPTIONS)
    if credentials is None:
        # A proxy named by the environment would be sent the token in clear, though the
        # address is this machine's.
        settings["grpc.enable_http_proxy"] = 0
    return Connection(
        address=address,
        credentials=credentials,
        options=tuple((settings | dict(options)).items()),
    )


def is_local(address: str) -> bool:
    """Whether a gRPC target certainly stays on this machine.

    Anything that leaves a doubt does not: a name but "localhost", a resolver named in the
    target, a scheme that is not known here.
    """
    scheme, colon, rest = address.partition(":")
    if scheme in {"unix", "unix-abstract"} and colon:
        return True
    if scheme in {"ipv4", "ipv6"} and colon:
        return all(_is_loopback(_host(each)) for each in rest.split(","))
    if scheme == "dns" and colon:
        # dns:host and dns:///host. The form dns://resolver/host asks a stranger, and stays
        # a host that nobody knows.
        address = rest.removeprefix("///")
    return _is_loopback(_host(address))


def _host(address: str) -> str:
    """The host of "host:port", "host", "[v6]:port" or "[v6]"; of anything else, all of it."""
    match = _HOST_PORT.fullmatch(address)
    return match["v6"] or match["host"] if match else address


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
