"""The address of a model server, as people give it: what is wrong with it, and what it should be."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tinyagent.core.errors import ConfigurationError

#: What the client adds itself, or is another endpoint. Azure AI's base URL ends in /models, without a version.
_ENDPOINT = re.compile(r"/(chat/completions|completions|chat|responses|embeddings)/*\Z|(?<=/v\d)/models/*\Z")
_VERSION = re.compile(r"/v\d\w*(/|\Z)")


def checked_base_url(url: str) -> str:
    """Return the URL without white space around it.

    Raises:
        ConfigurationError: No request to it could work; the text says what to write.
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
    """Return what to try where a server does not know the paths below this URL; empty where nothing is known."""
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
