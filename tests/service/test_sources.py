"""Where calls come from."""

import ipaddress

import pytest

from accredit_service.interceptors.sources import source_of

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("ipv4:192.0.2.1:4711", [], "192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", [], "2001:db8::/64"),
        ("ipv6:[2001:db8:0:0:1::1]:4711", [], "2001:db8::/64"),
        ("ipv6:[::ffff:192.0.2.1]:4711", [], "192.0.2.1"),
        ("ipv6:[fe80::1%25eth0]:4711", [], "fe80::/64"),
        ("unix:/run/accredit", [], "unix"),
        ("", [], ""),
        # Anybody can send the header; only a trusted proxy's is believed.
        ("ipv4:192.0.2.1:4711", ["198.51.100.7"], "192.0.2.1"),
        ("ipv4:10.0.0.1:4711", ["198.51.100.7"], "198.51.100.7"),
        ("ipv6:[fd00::1]:4711", ["198.51.100.7"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("ipv4:10.0.0.1:4711", ["198.51.100.7, nonsense"], "10.0.0.1"),
        ("ipv4:10.0.0.1:4711", [""], "10.0.0.1"),
        ("ipv4:10.0.0.1:4711", ["10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_source_is_the_last_address_that_somebody_trusted_saw(
    peer: str, forwarded: list[str], source: str
) -> None:
    assert source_of(peer, forwarded, PROXIES) == source
