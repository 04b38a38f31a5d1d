"""What is named on the command line: tools of files and modules, MCP servers, and agents."""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tinyagent.core.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from tinyagent.agents.agent import Agent
    from tinyagent.core.policy import Policy


def made_agent(options: argparse.Namespace, policy: Policy | None = None) -> Agent[Any, Any]:
    """Return the agent that the options describe.

    Args:
        options: What the command line says.
        policy: Holds for an agent that is made here; one of `--agent` has its own.

    Raises:
        ConfigurationError: An option is wrong.
    """
    from tinyagent.agents.code import TinyCodeAgent
    from tinyagent.agents.react import ReactAgent
    from tinyagent.core.limits import Limits
    from tinyagent.models.openai import OpenAIModel

    if options.agent is not None:
        if options.tools or options.mcp or options.code or options.instructions:
            raise ConfigurationError(
                f"--agent {options.agent}: it has its own tools and instructions; leave those out."
            )
        return load_agent(options.agent)
    kind = TinyCodeAgent if options.code else ReactAgent
    return kind(
        [*(tool for spec in options.tools for tool in load_tools(spec)), *map(_mcp_server, options.mcp)],
        model=OpenAIModel(options.model, base_url=options.base_url),
        instructions=options.instructions,
        limits=Limits(steps=options.steps),
        policy=policy,
    )


def _mcp_server(spec: str) -> Any:
    """Return the tools of an MCP server, from its URL or the command that starts it.

    Raises:
        ConfigurationError: `spec` is neither, or the extra `[mcp]` is not installed.
    """
    from tinyagent.tools.mcp import MCPTools

    try:
        return MCPTools(url=spec) if "://" in spec.partition(" ")[0] else MCPTools(command=spec)
    except MissingExtraError:
        raise
    except ConfigurationError as error:
        raise ConfigurationError(f"--mcp {spec!r}: {error}") from error


def load_tools(spec: str) -> list[Any]:
    """Return the tools and toolkits that a file or module defines or imports, or the one named behind a colon.

    Args:
        spec: `path/to/file.py`, `package.module`, or one of them and `:name`. Modules are also looked for in the
            current directory, and those that a file imports beside the file.

    Raises:
        ConfigurationError: There is no such file, module or name, or no tool in it.
    """
    from tinyagent.core.tool import Tool
    from tinyagent.tools.toolkit import Toolkit

    found, named = _found("--tools", spec, (Tool, Toolkit))
    if not found and not named:
        raise ConfigurationError(
            f"--tools {spec}: the module has no tools. Put @tool on its functions, or name one: {spec}:function."
        )
    return found


def load_agent(spec: str) -> Agent[Any, Any]:
    """Return the agent that a file or module defines, or the one named behind a colon.

    Args:
        spec: As for `load_tools`.

    Raises:
        ConfigurationError: There is no such file, module or name, or not just one agent in it.
    """
    from tinyagent.agents.agent import Agent

    found, named = _found("--agent", spec, (Agent,))
    if named and not isinstance(found[0], Agent):
        raise ConfigurationError(f"--agent {spec}: this is a {type(found[0]).__name__}, and no agent.")
    if len(found) != 1:
        how_many = f"{len(found)} agents; name one" if found else "no agent; make one, and name it"
        raise ConfigurationError(f"--agent {spec}: the module has {how_many}: {spec.rstrip(':')}:NAME.")
    agent: Agent[Any, Any] = found[0]
    return agent


def _found(option: str, spec: str, kinds: tuple[type, ...]) -> tuple[list[Any], bool]:
    """Return the objects of these kinds in a file or module, or whatever it has under the name behind a colon.

    The second value says whether there is a name.
    """
    said = f"{option} {spec}"
    where, _, name = spec.rpartition(":") if _IN_FILE.match(spec) else spec.partition(":")
    module = _of_file(said, Path(where)) if where.endswith(".py") else _of_name(said, where)
    if not name:
        return list({id(value): value for value in vars(module).values() if isinstance(value, kinds)}.values()), False
    value = getattr(module, name, None)
    if value is None:
        close = difflib.get_close_matches(name, [key for key in vars(module) if not key.startswith("_")], 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(f"{said}: {where!r} has no {name!r}.{hint}")
    return [value], True


#: `path/to/file.py:name`, where the name may be empty. A colon within the path, such as a drive's, begins no name.
_IN_FILE = re.compile(r".*\.py:[^\\/:]*\Z", re.DOTALL)


def _of_file(said: str, path: Path) -> ModuleType:
    """Return the module in a file, which is executed once."""
    path = path.expanduser().absolute()
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise ConfigurationError(f"{said}: {what} ({path}).")
    for known in list(sys.modules.values()):
        if getattr(known, "__file__", None) == str(path):
            return known
    name = path.stem if path.stem not in sys.modules else f"{path.parent.name}/{path.stem}"  # no import can mean it
    _look_in(path.parent)
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None  # noqa: S101 - it is a .py file
    assert found.loader is not None  # noqa: S101
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _of_name(said: str, name: str) -> ModuleType:
    _look_in(Path.cwd())
    if missing := _missing(said, name):
        raise ConfigurationError(f"{said}: there is no module {missing!r} here.{_file_of(said, name)}")
    return importlib.import_module(name)


def _look_in(folder: Path) -> None:
    """Let imports find the modules in a folder."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _missing(said: str, module_name: str) -> str | None:
    """Return the name of the module, or of a package around it, that does not exist; `None` when all do.

    Raises:
        ConfigurationError: `module_name` is no name of a module.
        ModuleNotFoundError: A package around the module itself imports a module that does not exist.
    """
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigurationError(
            f"{said}: write it as package.module or package.module:name, or as path/to/file.py."
            f"{_file_of(said, module_name)}"
        )
    try:
        return None if importlib.util.find_spec(module_name) else module_name
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            return error.name
        raise


def _file_of(said: str, name: str) -> str:
    """Return a hint at a file that `name` may mean; empty if there is none."""
    files = [Path(f"{name}.py"), Path(*name.split(".")).with_suffix(".py")] if name.strip(".") else []
    return next((f" There is a file: {said.partition(' ')[0]} {file}" for file in files if file.is_file()), "")
