"""Where calls come from, as far as it can be known."""

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias
from urllib.parse import unquote

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# One machine commonly has a whole /64 to take addresses from.
_IPV6_SITE = 64


def source_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Where a call comes from, as far as it can be known: the key that calls are counted under.

    ``forwarded`` is the x-forwarded-for of the call. Each proxy adds at its end whom it was called
    by, so it is read from there, and only as far as trusted proxies wrote it.
    """
    address = _peer_address(peer)
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    while address is not None and any(address in network for network in trusted) and hops:
        hop = _address(hops.pop())
        if hop is None:
            break
        address = hop
    if address is None:
        return peer.partition(":")[0]
    if address.version == 6:
        return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))
    return str(address)


def _peer_address(peer: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    """The address in gRPC's words for a peer: ``ipv4:10.0.0.7:4711``, ``ipv6:%5B::1%5D:4711``."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return None
    return _address(rest.rpartition(":")[0].strip("[]"))


def _address(text: str) -> "ipaddress.IPv4Address | ipaddress.IPv6Address | None":
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # One machine must not count twice on a dual-stack socket.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
