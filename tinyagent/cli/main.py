"""The `tinyagent` command line."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from tinyagent import __version__
from tinyagent.core.errors import ConfigurationError, MissingExtraError, TinyAgentError
from tinyagent.core.text import printable

DEFAULT_MODEL = "gpt-4o-mini"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 done, 1 the run failed, 2 wrong usage, 130 interrupted.

    Args:
        arguments: The words after `tinyagent`; default: those of this process.

    Raises:
        SystemExit: The arguments cannot be read (status 2), or ask for help or the version (status 0).
    """
    options = _parser().parse_args(arguments)
    work: Coroutine[Any, Any, int] = options.command(options)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except ConfigurationError as error:
        print(printable(f"tinyagent: {error}"), file=sys.stderr)
        return 2
    except TinyAgentError as error:
        print(printable(f"tinyagent: {type(error).__name__}: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tinyagent", description="A small, fast, async agent package.")
    parser.add_argument("--version", action="version", version=f"tinyagent {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    model = os.environ.get("OPENAI_MODEL") or DEFAULT_MODEL

    demo = commands.add_parser("demo", help="watch an agent answer a question, offline unless a key is set")
    demo.add_argument("question", nargs="?", help="your own question, for a real model")
    demo.add_argument("--code", action="store_true", help="watch a code agent, which writes Python and runs it")
    demo.add_argument("--local", action="store_true", help="ask a tiny model on this machine, which needs no key")
    demo.add_argument("--model", default=model, help="the model's name (default: OPENAI_MODEL or %(default)s)")
    demo.set_defaults(command=_demo)

    run = commands.add_parser("run", help="answer a question with tools of your own")
    run.add_argument("question", help="the question; - reads it from standard input")
    run.add_argument(
        "--tools",
        action="append",
        default=[],
        metavar="FILE|MODULE[:NAME]",
        help="tools of a file (my_tools.py) or of a module, or one function of it (my_tools.py:search); may be given "
        "several times",
    )
    run.add_argument(
        "--mcp",
        action="append",
        default=[],
        metavar="COMMAND|URL",
        help="tools of an MCP server: the command line that starts it, in quotes, or its URL; may be given several "
        "times",
    )
    run.add_argument("--code", action="store_true", help="solve it by writing Python, which runs in a sandbox")
    run.add_argument("--model", default=model, help="the model's name (default: OPENAI_MODEL or %(default)s)")
    run.add_argument("--base-url", help="the server (default: OPENAI_BASE_URL)")
    run.add_argument("--instructions", default="", help="what the model is told first")
    run.add_argument("--steps", type=int, default=10, help="how many steps the run may take (default: 10)")
    run.set_defaults(command=_run)
    return parser


async def _demo(options: argparse.Namespace) -> int:
    from tinyagent.cli.demo import demo
    from tinyagent.cli.show import Terminal

    await demo(options.question, options.model, Terminal(), code=options.code, local=options.local)
    return 0


async def _run(options: argparse.Namespace) -> int:
    from tinyagent.agents.code import TinyCodeAgent
    from tinyagent.agents.react import ReactAgent
    from tinyagent.cli.show import Terminal
    from tinyagent.core.limits import Limits
    from tinyagent.models.openai import OpenAIModel

    kind = TinyCodeAgent if options.code else ReactAgent
    agent = kind(
        [*(tool for spec in options.tools for tool in load_tools(spec)), *map(_mcp_server, options.mcp)],
        model=OpenAIModel(options.model, base_url=options.base_url),
        instructions=options.instructions,
        limits=Limits(steps=options.steps),
    )
    question = sys.stdin.read() if options.question == "-" else options.question
    live = sys.stdout.isatty()  # a pipe gets the answer and nothing else
    terminal = Terminal(sys.stdout, sys.stdout if live else sys.stderr, live=live)
    await terminal.show(agent.stream(question))
    return 0


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

    where, _, name = spec.rpartition(":") if _IN_FILE.match(spec) else spec.partition(":")
    module = _of_file(spec, Path(where)) if where.endswith(".py") else _of_name(spec, where)
    found = {id(value): value for value in vars(module).values() if isinstance(value, Tool | Toolkit)}
    if not name:
        if not found:
            raise ConfigurationError(
                f"--tools {spec}: the module has no tools. Put @tool on its functions, or name one: {spec}:function."
            )
        return list(found.values())
    value = getattr(module, name, None)
    if value is None:
        close = difflib.get_close_matches(name, [key for key in vars(module) if not key.startswith("_")], 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigurationError(f"--tools {spec}: {where!r} has no {name!r}.{hint}")
    return [value]


#: `path/to/file.py:name`, where the name may be empty. A colon within the path, such as a drive's, begins no name.
_IN_FILE = re.compile(r".*\.py:[^\\/:]*\Z", re.DOTALL)


def _of_file(spec: str, path: Path) -> ModuleType:
    """Return the module in a file, which is executed once."""
    path = path.expanduser().absolute()
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "there is no such file"
        raise ConfigurationError(f"--tools {spec}: {what} ({path}).")
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


def _of_name(spec: str, name: str) -> ModuleType:
    _look_in(Path.cwd())
    if missing := _missing(spec, name):
        raise ConfigurationError(f"--tools {spec}: there is no module {missing!r} here.{_file_of(name)}")
    return importlib.import_module(name)


def _look_in(folder: Path) -> None:
    """Let imports find the modules in a folder."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _missing(spec: str, module_name: str) -> str | None:
    """Return the name of the module, or of a package around it, that does not exist; `None` when all do.

    Raises:
        ConfigurationError: `module_name` is no name of a module.
        ModuleNotFoundError: A package around the module itself imports a module that does not exist.
    """
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigurationError(
            f"--tools {spec}: write it as package.module or package.module:name, or as path/to/file.py."
            f"{_file_of(module_name)}"
        )
    try:
        return None if importlib.util.find_spec(module_name) else module_name
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            return error.name
        raise


def _file_of(name: str) -> str:
    """Return a hint at a file that `name` may mean; empty if there is none."""
    files = [Path(f"{name}.py"), Path(*name.split(".")).with_suffix(".py")] if name.strip(".") else []
    return next((f" There is a file: --tools {file}" for file in files if file.is_file()), "")
