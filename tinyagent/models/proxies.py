"""The proxy that the environment names for a server, and what to do when it is wrong."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tinyagent.core.errors import ConfigurationError, MissingExtraError

#: Schemes of proxies that only httpx understands, with its extra.
SOCKS = ("socks5", "socks5h")


def proxies() -> dict[str, str]:
    """Return the proxies that the environment names, each by the scheme of the URLs that it is for, or `all`."""
    found = getproxies()
    named = {scheme: proxy for scheme in ("http", "https", "all") if (proxy := found.get(scheme))}
    return {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in named.items()}


def needs_httpx() -> bool:
    """Return whether a proxy is one that aiohttp cannot use."""
    return any(_scheme(proxy) in SOCKS for proxy in proxies().values())


def proxy_of(url: str) -> str:
    """Return how an error names the proxy for a URL, with its variable; nothing where there is none."""
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    found = proxies()
    named = next((name for name in (scheme, "all") if name in found), None)
    return "" if named is None or proxy_bypass(host) else _named(named, found[named])


def is_here(url: str) -> bool:
    """Return whether a server is on this machine, where no proxy could find it."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bad_proxy(error: Exception, httpx: str) -> ConfigurationError:
    """Return the error of a client that could not be made with the proxies of the environment.

    Args:
        error: What making the client raised.
        httpx: The name of the package that lacks an extra.
    """
    known = ("http", "https", *SOCKS)
    unknown = [item for item in proxies().items() if _scheme(item[1]) not in known]
    socks = [item for item in proxies().items() if _scheme(item[1]) in SOCKS]
    if isinstance(error, ImportError) and socks:
        return MissingExtraError(
            f"{_named(*socks[0])} is a SOCKS proxy, which needs another package. Run: pip install '{httpx}[socks]'"
        )
    if unknown:
        return ConfigurationError(
            f"{_named(*unknown[0])} cannot be used: a proxy begins with http://, https://, socks5:// or socks5h://. "
            "Change or unset the variable."
        )
    named = " and ".join(_named(*item) for item in proxies().items())
    return ConfigurationError(f"{named} cannot be used ({error}). Change or unset the variable.")


def _scheme(proxy: str) -> str:
    return proxy.partition("://")[0].lower()


def _named(scheme: str, proxy: str) -> str:
    shown = re.sub(r"//[^/@]*@", "//***@", proxy)
    return f"The proxy {shown} ({_variable(scheme)})"


def _variable(scheme: str) -> str:
    """The variable that names the proxy; the system's settings where none does."""
    name = f"{scheme}_proxy"
    return next((each for each in (name, name.upper()) if os.environ.get(each)), "of the system's settings")
