"""The options of `MCPTools`, checked."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from tinyagent.core.errors import ConfigurationError, MissingExtraError
from tinyagent.tools.mcp.endpoint import Address, Command


def require_sdk() -> None:
    """Check that the extra `[mcp]` is installed, without the second that importing it takes.

    Raises:
        MissingExtraError: The extra is not installed; the text says how to install it.
    """
    if find_spec("mcp") is None or find_spec("mcp_types") is None:  # version 1 has no mcp_types
        raise MissingExtraError("MCPTools needs the MCP SDK, version 2. Run: pip install 'tinyagent[mcp]'")


def endpoint_of(
    command: str | Sequence[str] | None,
    args: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    url: str | None,
    headers: Mapping[str, str] | None,
) -> Command | Address:
    """Return where the server is, from the options of `MCPTools`.

    Raises:
        ConfigurationError: Both or neither of `command` and `url` are given, or an option is wrong.
    """
    if (command is None) == (url is None):
        which = "pass one of them, not both" if url is not None else "pass one, such as command='npx -y some-server'"
        raise ConfigurationError(f"MCPTools needs a command that starts the server, or its url: {which}.")
    if url is not None:
        for option, value in (("args", args), ("env", env), ("cwd", cwd)):
            if value:
                raise ConfigurationError(f"MCPTools({option}=...) is for a server with a command; this one has a url.")
        return Address(_url(url), _texts("headers", headers))
    if headers:
        raise ConfigurationError("MCPTools(headers=...) is for a server with a url; this one has a command.")
    return Command(_words(command, args), _texts("env", env), cwd)


def names_of(option: str, names: Iterable[str]) -> frozenset[str]:
    """Return the names of tools in an option.

    Raises:
        ConfigurationError: The option is no list of names.
    """
    if isinstance(names, str | Mapping) or not isinstance(names, Iterable):
        raise ConfigurationError(f"MCPTools({option}={names!r}): pass a list of the server's names of tools.")
    return frozenset(names)


def seconds(option: str, value: float) -> float:
    """Return an option's number of seconds.

    Raises:
        ConfigurationError: The option is no number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigurationError(f"MCPTools({option}={value!r}): pass seconds, above 0.")
    return value


def _words(command: str | Sequence[str] | None, args: Sequence[str]) -> tuple[str, ...]:
    if isinstance(args, str):
        raise ConfigurationError(f"MCPTools(args={args!r}): pass a list, such as args=['-y', 'some-server'].")
    try:
        words = _split(command, alone=not args) if isinstance(command, str) else list(command or ())
    except ValueError as error:
        raise ConfigurationError(f"MCPTools(command={command!r}): {error}.") from error
    words += map(os.fspath, args)
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words) or not words[0]:
        raise ConfigurationError(f"MCPTools(command={command!r}): pass a command line, or a list of its words.")
    return tuple(words)


def _split(command: str, *, alone: bool) -> list[str]:
    return shlex.split(command, posix=os.name == "posix") if alone else [command]


def _url(url: Any) -> str:
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"MCPTools(url={url!r}): pass an http or https URL, such as 'http://localhost:8000/mcp'."
        )
    return str(url)


def _texts(option: str, values: Mapping[str, str] | None) -> dict[str, str]:
    found = dict(values) if isinstance(values, Mapping) else {} if values is None else None
    if found is None or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise ConfigurationError(f"MCPTools({option}=...): pass a dict of texts.")
    return found
