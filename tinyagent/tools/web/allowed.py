"""The hosts that may be opened although they are not public."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import TypeAlias

from tinyagent.core.errors import ConfigurationError
from tinyagent.tools.web.addresses import Address, Network, parse_address

_HOST = re.compile(r"(\*\.)?(?!-)[\w-]+(\.[\w-]+)*")
_PORT = re.compile(r"(.*[^:]|\[.*\]):(\d{1,5})")
_NO_NAME = re.compile(r"[\s/\\?#@:%\[\]]")
_EXAMPLES = "e.g. 'intranet.example', '*.example.com', '10.0.0.7', '10.0.0.0/8', '[::1]:8080'"


#: A name or a network, and the port if only that one is meant.
Entry: TypeAlias = tuple[str | Network, int | None]


class Allowed:
    """The hosts of an `allow=` list, parsed.

    Args:
        hosts: Names (`intranet.example`), all names below one (`*.example.com`), IP addresses and networks
            (`10.0.0.0/8`), each with a port if only that one is meant (`localhost:8000`, `[::1]:8000`).

    Raises:
        ConfigurationError: `hosts` is no list, or holds something else.
    """

    def __init__(self, hosts: Collection[str]) -> None:
        if isinstance(hosts, str | bytes) or not isinstance(hosts, Collection):
            raise ConfigurationError(f"allow={hosts!r}: pass a list of hosts, {_EXAMPLES}.")
        self._entries = [_parse(host) for host in hosts]

    def name(self, host: str, port: int) -> bool:
        """Return whether a host is opened by its name, wherever its address may be."""
        host = normal_name(host)
        names = (entry for entry, only in self._entries if isinstance(entry, str) and only in (None, port))
        return any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in names)

    def address(self, address: Address, port: int) -> bool:
        """Return whether an address itself is opened."""
        networks = (entry for entry, only in self._entries if not isinstance(entry, str) and only in (None, port))
        return any(address in network for network in networks)


def normal_name(host: str) -> str:
    """Return a name in the form in which two spellings are compared: lower case, without the dot at the end."""
    return host.lower().rstrip(".")


def _parse(host: str) -> Entry:
    text = host.strip() if isinstance(host, str) else ""
    port = None
    if (network := _network(text)) is None and (found := _PORT.fullmatch(text)):
        text, port = found[1], int(found[2])
        network = _network(text)
    if port is not None and not 0 < port < 65536:
        raise ConfigurationError(f"allow={host!r}: {port} is no port.")
    if network is not None:
        return network, port
    name = normal_name(text if text.isascii() else _ascii(text))
    if not _HOST.fullmatch(name) or _is_number(name):
        raise ConfigurationError(f"allow={host!r}: pass a host, {_EXAMPLES}; no scheme, no path.")
    return name, port


def _ascii(text: str) -> str:
    """Return a name as httpx looks it up, or "". Python's own codec follows an older standard, with other hosts."""
    import httpx

    star, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    if _NO_NAME.search(name):
        return ""
    try:
        return star + httpx.URL(f"http://{name}").raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        return ""


def _network(text: str) -> Network | None:
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    try:
        if "/" in text:
            return ipaddress.ip_network(text, strict=False)
        return ipaddress.ip_network(parse_address(text))
    except ValueError:
        return None


def _is_number(name: str) -> bool:
    """Return whether the last part of a name is a number: then it is a misspelt address, and no name."""
    return re.fullmatch(r"\d+|0x[0-9a-f]*", name.rpartition(".")[2]) is not None
