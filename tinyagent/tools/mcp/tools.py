"""The tools of an MCP server, as a toolkit."""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tinyagent.core.context import Context
from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError, MissingExtraError
from tinyagent.core.threads import run_in_thread, thread_slot
from tinyagent.core.tool import Tool
from tinyagent.tools.mcp.connection import Connection
from tinyagent.tools.mcp.endpoint import Address, Command
from tinyagent.tools.mcp.names import valid_names
from tinyagent.tools.mcp.results import MCPProgress, value_of
from tinyagent.tools.mcp.schema import arguments_of
from tinyagent.tools.settings import check_seconds
from tinyagent.tools.toolkit import AnyTool, Toolkit

if TYPE_CHECKING:
    import mcp_types


class MCPTools(Toolkit):
    """The tools of a server that speaks the Model Context Protocol, over the official SDK.

        files = MCPTools(command="npx -y @modelcontextprotocol/server-filesystem /data")
        agent = ReactAgent(tools=[files, MCPTools(url="https://example.com/mcp").prefixed("shop")])

    Like every toolkit it is opened by its first user, a run or `async with`, and closed after the last; all share
    one connection. A server that is a command is started then, and has ended, with all its children, when it is
    closed, by force if it will not. A server that dies, is redeployed or has forgotten the session is started, or
    connected to, again by the next call, with growing pauses between attempts that fail; the call that was under way
    fails, and the model is told. (A call whose tool is read-only or idempotent, or that the server has refused together
    with the session, is made again, once.)

    Names that Python code cannot use are replaced, in tools and their arguments: `get-user.v2` becomes
    `get_user_v2`. A tool gives plain data where the server gives structured content, else text, or an `MCPResult`
    where there are images, sounds or files; the model reads the server's text, and the data where they say more.
    Tools that can only be called as MCP tasks are left out. Reports of progress become `ToolProgress` events with an
    `MCPProgress`. A tool that the server calls read-only has `read_only` set; that is the server's word, not a fact.
    The tools change when the server says that they have. Roots, sampling and elicitation are not offered to the
    server, and its log messages are ignored. Its standard error is not shown; the end of it is part of error texts.

    Args:
        command: How to start the server: a command line, quoted as in a shell (no shell is used); the program
            alone where there are `args`; or a list of the program and its arguments.
        args: More arguments.
        env: The server's environment variables, beside the few of this process that the SDK hands on (HOME, LOGNAME,
            PATH, SHELL, TERM and USER, except on Windows): keys of yours are not among them.
        cwd: The server's working directory; default: this process's.
        url: Where a server is that speaks streamable HTTP.
        headers: What to send with each request, such as `{"Authorization": "Bearer ..."}`.
        include: The server's names of the tools to use; default: all.
        exclude: The server's names of the tools not to use.
        timeout: Seconds that a call may take; the server is told to stop then. `None`: any time.
        start_timeout: Seconds until the server has listed its tools.
        name: The server's name in error texts; default: the program's, or the URL's host.

    Raises:
        ConfigurationError: The arguments do not go together. On entering: the command cannot be started, or
            `include` names a tool that the server does not have.
        MissingExtraError: The SDK is not installed.
        TimeoutError: On entering: the server takes too long.
        ConnectionError: On entering: the server ends, cannot be reached or refuses.

    https://modelcontextprotocol.io/specification
    """

    @door("mcp")
    def __init__(
        self,
        command: str | Sequence[str] | None = None,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        timeout: float | None = 60.0,
        start_timeout: float = 30.0,
        name: str | None = None,
    ) -> None:
        if find_spec("mcp") is None or find_spec("mcp_types") is None:  # version 1 has no mcp_types
            raise MissingExtraError("MCPTools needs the MCP SDK, version 2. Run: pip install 'tinyagent[mcp]'")
        self._endpoint = _endpoint(command, args, env, cwd, url, headers)
        self.name: str = name or self._endpoint.name
        for option, value in (("include", include), ("exclude", exclude)):
            if isinstance(value, str):
                raise ConfigurationError(f"MCPTools({option}={value!r}): pass a list of the server's names of tools.")
        self._include = None if include is None else frozenset(include)
        self._exclude = frozenset(exclude)
        self._timeout = None if timeout is None else check_seconds("timeout", timeout)
        self._start_timeout = check_seconds("start_timeout", start_timeout)
        self._connection: Connection | None = None
        self._listed: list[mcp_types.Tool] = []
        self._tools: tuple[AnyTool, ...] = ()

    async def open(self) -> None:
        """Connect to the server and list its tools."""
        await _in_thread(_import_sdk)  # importing takes a second
        connection = Connection(self._endpoint, self.name, self._start_timeout, self._list)
        await connection.open()
        self._connection = connection

    async def close(self) -> None:
        """Disconnect; a server that was started by its command has ended then."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await connection.close()
        finally:
            self._tools, self._listed = (), []

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        """The server's tools while the toolkit is open; the same tuple until the server says that they have changed."""
        return self._tools

    def __repr__(self) -> str:
        names = ", ".join(tool.name for tool in self.tools) or "no tools"
        return f"MCPTools({self.name}: {'not open' if self._connection is None else names})"

    async def _list(self, listed: list[mcp_types.Tool]) -> None:
        """Take over the server's list of tools.

        Raises:
            ConfigurationError: At first, where `include` names a tool that the server does not have.
        """
        known = {tool.name: tool for tool in listed if not _needs_task(tool)}
        missing = [name for name in self._include or () if name not in known]
        if missing and self._connection is None:
            has = ", ".join(known) or "none"
            tasks = ", ".join(tool.name for tool in listed if _needs_task(tool))
            left = f" These need MCP tasks, which are not supported: {tasks}." if tasks else ""
            raise ConfigurationError(
                f"MCPTools(include={missing}): {self.name!r} has no such tools; it has: {has}.{left}"
            )
        wanted = [
            tool
            for tool in known.values()
            if (self._include is None or tool.name in self._include) and tool.name not in self._exclude
        ]
        if wanted != self._listed:
            self._tools = await _in_thread(self._made, wanted)
            self._listed = wanted

    def _made(self, listed: list[mcp_types.Tool]) -> tuple[AnyTool, ...]:
        names = valid_names([tool.name for tool in listed], "tool")
        return tuple(self._tool(tool, names[tool.name]) for tool in listed)

    def _tool(self, listed: mcp_types.Tool, name: str) -> AnyTool:
        """Return one of the server's tools as a `Tool`."""
        hints = listed.annotations
        read_only = bool(hints and hints.read_only_hint)
        repeatable = read_only or bool(hints and hints.idempotent_hint)
        title = listed.title or (hints.title if hints else None)
        description = inspect.cleandoc(listed.description or title or "")
        arguments = arguments_of(name, listed.input_schema, description, listed.output_schema)

        async def call(context: Context[Any], /, **values: Any) -> Any:
            if self._connection is None:
                raise RuntimeError(
                    f"The MCP server {self.name!r} is not open: pass the MCPTools to an agent, or enter it with "
                    "'async with'."
                )

            async def report(progress: float, total: float | None, message: str | None) -> None:
                context.progress(MCPProgress(progress, total, message))

            result = await self._connection.call(
                listed.name,
                arguments.for_server(values),
                timeout=self._timeout,
                repeatable=repeatable,
                progress=report,
            )
            return value_of(result, listed.output_schema)

        call.__module__, call.__qualname__ = f"MCP server {self.name}", listed.name
        return Tool(call, name=name, description=description, read_only=read_only, signature=arguments.signature)


def _endpoint(
    command: str | Sequence[str] | None,
    args: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    url: str | None,
    headers: Mapping[str, str] | None,
) -> Command | Address:
    """Return where the server is, by the options of `MCPTools`.

    Raises:
        ConfigurationError: Both or neither of `command` and `url` are given, or an option is wrong.
    """
    if url is not None and command is None:
        for option, value in (("args", args), ("env", env), ("cwd", cwd)):
            if value:
                raise ConfigurationError(f"MCPTools({option}=...) is for a server with a command; this one has a url.")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"MCPTools(url={url!r}): pass an http or https URL, such as 'http://localhost:8000/mcp'."
            )
        return Address(url, dict(headers or {}))
    if command is None or url is not None:
        which = "pass one of them, not both" if url is not None else "pass one, such as command='npx -y some-server'"
        raise ConfigurationError(f"MCPTools needs a command that starts the server, or its url: {which}.")
    if headers:
        raise ConfigurationError("MCPTools(headers=...) is for a server with a url; this one has a command.")
    if isinstance(args, str):
        raise ConfigurationError(f"MCPTools(args={args!r}): pass a list, such as args=['-y', 'some-server'].")
    try:
        line = shlex.split(command, posix=os.name == "posix") if isinstance(command, str) and not args else command
    except ValueError as error:
        raise ConfigurationError(f"MCPTools(command={command!r}): {error}.") from error
    words = tuple(map(os.fspath, ([line] if isinstance(line, str) else [*line]) + [*args]))
    if not words or not words[0]:
        raise ConfigurationError(f"MCPTools(command={command!r}): pass a command line, or a list of its words.")
    return Command(words, dict(env or {}), cwd)


def _needs_task(tool: mcp_types.Tool) -> bool:
    """Return whether a tool can only be called as an MCP task, which is not supported."""
    return tool.execution is not None and tool.execution.task_support == "required"


async def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    async with thread_slot():
        return await run_in_thread(function, *args)


def _import_sdk() -> None:
    from mcp import Client  # noqa: F401
