"""IP addresses, and which of them are public."""

from __future__ import annotations

import ipaddress
import socket
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What is not of the public internet in IPv4. Written out, because `is_global` differs between releases of Python.
#: https://www.iana.org/assignments/iana-ipv4-special-registry
_NOT_PUBLIC_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata is at 100.100.100.200
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's host, reachable only from within
            "169.254.0.0/16",  # link-local; most clouds' metadata is at 169.254.169.254
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata is at 192.0.0.192
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/3",  # multicast, reserved, broadcast
        ),
    )
)

#: All that is assigned as global unicast. What embeds an IPv4 address (`::a.b.c.d`, `::ffff:a.b.c.d`, NAT64's
#: 64:ff9b::/96 and 64:ff9b:1::/48), loopback, unique local, link- and site-local and multicast lie outside of it.
#: https://www.iana.org/assignments/ipv6-address-space
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")

#: What is not of the public internet within `_GLOBAL_UNICAST`.
#: https://www.iana.org/assignments/iana-ipv6-special-registry
_NOT_PUBLIC_6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4 embeds an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public internet.

    Loopback, private, link-local, shared (CGNAT), documentation, benchmark, multicast, reserved and unspecified
    addresses do not; nor do those of clouds' metadata services, nor IPv6 addresses that embed an IPv4 address
    (6to4, Teredo, NAT64, IPv4-compatible), except `::ffff:a.b.c.d`, which is judged as the IPv4 address it stands for.

    Args:
        address: As text, e.g. "93.184.216.34", "2606:4700::1111", "fe80::1%eth0".

    Raises:
        ValueError: `address` is no IP address.
    """
    return address_is_public(parse_address(address))


def address_is_public(address: Address) -> bool:
    """Return whether the parsed IP address belongs to the public internet; see `is_public`."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _GLOBAL_UNICAST and not any(address in network for network in _NOT_PUBLIC_6)


def parse_address(text: str) -> Address:
    """Parse an IP address, without its zone; one that is mapped into IPv6 becomes the IPv4 address it stands for.

    Raises:
        ValueError: `text` is no IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def literal_address(host: str) -> Address | None:
    """Return the IP address that a host spells, also in old ways (`2130706433`, `0x7f.1`, `0177.0.0.1`), or `None`."""
    try:
        return parse_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError, ValueError):
        return None
