"""The `tinyagent` command line."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyagent import __version__
from tinyagent.core.errors import ConfigurationError, TinyAgentError
from tinyagent.core.printable import printable

if TYPE_CHECKING:
    pass

DEFAULT_MODEL = "gpt-4o-mini"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0 done, 1 the run failed, 2 wrong usage, 130 interrupted."""
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
        metavar="MODULE[:NAME]",
        help="tools of a module, or one function of it; may be given several times",
    )
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
    from tinyagent.agents.react import ReactAgent
    from tinyagent.cli.show import Terminal
    from tinyagent.core.limits import Limits
    from tinyagent.models.openai import OpenAIModel

    agent = ReactAgent(
        [tool for spec in options.tools for tool in load_tools(spec)],
        model=OpenAIModel(options.model, base_url=options.base_url),
        instructions=options.instructions,
        limits=Limits(steps=options.steps),
    )
    question = sys.stdin.read() if options.question == "-" else options.question
    live = sys.stdout.isatty()  # a pipe gets the answer and nothing else
    terminal = Terminal(sys.stdout, sys.stdout if live else sys.stderr, live=live)
    await terminal.show(agent.stream(question))
    return 0


def load_tools(spec: str) -> list[Any]:
    """The tools and toolkits that `package.module` defines or imports, or the one that `package.module:name` names.

    Modules are looked for in the current directory too.

    Raises:
        ConfigurationError: There is no such module, no such name, or no tool in it.
    """
    from tinyagent.core.tool import Tool
    from tinyagent.tools.toolkit import Toolkit

    module_name, _, name = spec.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if missing := _missing(spec, module_name):
        raise ConfigurationError(f"--tools {spec}: there is no module {missing!r} here.")
    module = importlib.import_module(module_name)
    if not name:
        found = {id(value): value for value in vars(module).values() if isinstance(value, Tool | Toolkit)}
        if not found:
            raise ConfigurationError(
                f"--tools {spec}: the module has no tools. Put @tool on its functions, or name one: {spec}:function."
            )
        return list(found.values())
    value = getattr(module, name, None)
    if value is None:
        raise ConfigurationError(f"--tools {spec}: {module_name!r} has no {name!r}.")
    return [value]


def _missing(spec: str, module_name: str) -> str | None:
    """The module, or the package it is in, that is not there; errors of its packages are theirs to tell."""
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise ConfigurationError(f"--tools {spec}: write it as package.module or package.module:name.")
    try:
        return None if importlib.util.find_spec(module_name) else module_name
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            return error.name
        raise
