"""Checks of the settings that people give to tools: numbers, keys, base URLs."""

from __future__ import annotations

from urllib.parse import urlsplit

from tinyagent.core.errors import ConfigurationError


def check_seconds(option: str, seconds: object) -> float:
    """Return a time in seconds.

    Raises:
        ConfigurationError: `seconds` is no number above 0.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds > 0:
        raise ConfigurationError(f"{option}={seconds!r}: pass a number of seconds above 0.")
    return seconds


def check_count(option: str, count: object, least: int = 1) -> int:
    """Return a number of things.

    Raises:
        ConfigurationError: `count` is no whole number, or less than `least`.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise ConfigurationError(f"{option}={count!r}: pass a whole number, {least} or more.")
    return count


def check_key(option: str, key: object) -> str:
    """Return a key, without the spaces around it.

    Raises:
        ConfigurationError: The key cannot be sent in a header; the text does not show it.
    """
    text = key.strip() if isinstance(key, str) else ""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(f"{option}: a key is text of ASCII letters, digits and signs, without spaces.")
    return text


def check_base_url(option: str, url: object) -> str:
    """Return the base URL of a service, without the spaces around it.

    Raises:
        ConfigurationError: `url` is no base URL; the text names the option.
    """
    text = url.strip() if isinstance(url, str) else ""
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        fits = False
    if not fits or "?" in text or "#" in text or " " in text or not text.isprintable():
        shown = "a URL with a user in it" if "@" in text else repr(url)
        raise ConfigurationError(f"{option}: {shown} is no base URL. Pass one such as 'https://search.example'.")
    return text


def hosts_of(url: str) -> tuple[str, ...]:
    """Return what `allow=` takes to open a checked URL: its host at its port, and at 443 in case it redirects."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return tuple(dict.fromkeys((f"{host}:{port}", f"{host}:443")))
