"""The address of a model server, as people give it, and the proxy that the environment names for it."""

from __future__ import annotations

import ipaddress
import os
import re
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from tinyagent.core.errors import ConfigurationError, MissingExtraError

#: The path of an endpoint, which the client adds itself. Azure AI's base URL ends in /models, without a version.
_ENDPOINT = re.compile(r"/(chat/completions|completions|chat|responses|embeddings)/*\Z|(?<=/v\d)/models/*\Z")
_VERSION = re.compile(r"/v\d\w*(/|\Z)")


def checked_base_url(url: str) -> str:
    """Return a base URL without white space around it.

    Raises:
        ConfigurationError: No request to the URL could work; the text says what to write.
    """
    url = url.strip()
    if not _is_address(url):
        example = f"http://{url}" if _is_address(f"http://{url}") and "://" not in url else "http://localhost:11434/v1"
        raise ConfigurationError(
            f"{url!r} is no base URL (base_url= or OPENAI_BASE_URL): one begins with http:// or https://, and "
            f"usually ends in /v1, such as {example}."
        )
    if endpoint := _ENDPOINT.search(url):
        raise ConfigurationError(
            f"The base URL {url!r} (base_url= or OPENAI_BASE_URL) names an endpoint: leave {endpoint[0]} out, so that "
            f"it is {url[: endpoint.start()]}."
        )
    return url


def better_base_url(url: str) -> str:
    """Return in words what to try where a server does not know the paths below a base URL; empty where unknown."""
    parts = urlsplit(url)
    if _VERSION.search(parts.path) or parts.hostname is None:
        return ""
    return f" The base URL usually ends in /v1: try {url.rstrip('/')}/v1."


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        given = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(given) and not re.search(r"\s", url)


#: Schemes of proxies that only httpx understands, with its extra `socks`.
SOCKS = ("socks5", "socks5h")


def proxies() -> dict[str, str]:
    """Return the proxies that the environment names, by the scheme of the URLs that each is for, or `all`."""
    found = getproxies()
    named = {scheme: proxy for scheme in ("http", "https", "all") if (proxy := found.get(scheme))}
    return {scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in named.items()}


def needs_httpx() -> bool:
    """Return whether the environment names a proxy that aiohttp cannot use."""
    return any(_scheme(proxy) in SOCKS for proxy in proxies().values())


def proxy_of(url: str) -> str:
    """Return the words that name the proxy for a URL, and its variable, in an error; empty where there is no proxy."""
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    found = proxies()
    named = next((name for name in (scheme, "all") if name in found), None)
    return "" if named is None or proxy_bypass(host) else _named(named, found[named])


def is_here(url: str) -> bool:
    """Return whether the server of a URL is on this machine, where no proxy could find it."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bad_proxy(error: Exception, httpx: str) -> ConfigurationError:
    """Return the error of a client that could not be made with the proxies of the environment.

    Args:
        error: The exception that was raised when the client was made.
        httpx: The name of the SDK's httpx package, for the line that installs its extra.
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
    """Return the name of the variable that names the proxy, or words for the system's settings where none does."""
    name = f"{scheme}_proxy"
    return next((each for each in (name, name.upper()) if os.environ.get(each)), "of the system's settings")
