"""The `tinyagent` command line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

from tinyagent import __version__
from tinyagent.core.errors import ConfigurationError, TinyAgentError
from tinyagent.core.text import printable

DEFAULT_MODEL = "gpt-4o-mini"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    It is 0 done, 1 the run failed, 2 wrong usage, 3 the run waits for a decision, 130 interrupted.

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
    parser.set_defaults(command=_of_runs)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="name")
    model = os.environ.get("OPENAI_MODEL") or DEFAULT_MODEL

    demo = commands.add_parser("demo", help="watch an agent answer a question, offline unless a key is set")
    demo.add_argument("question", nargs="?", help="your own question, for a real model")
    demo.add_argument("--code", action="store_true", help="watch a code agent, which writes Python and runs it")
    demo.add_argument("--local", action="store_true", help="ask a tiny model on this machine, which needs no key")
    demo.add_argument("--model", default=model, help="the model's name (default: OPENAI_MODEL or %(default)s)")
    demo.set_defaults(command=_demo)

    run = commands.add_parser("run", help="answer a question with tools of your own")
    chat = commands.add_parser("chat", help="talk with an agent; a store keeps the conversation under a name")
    runs = commands.add_parser("runs", help="list the runs of a store")
    show = commands.add_parser("show", help="tell what a run did, step by step, from its store")
    resume = commands.add_parser("resume", help="go on, with the same agent, with a run that waits or was broken off")
    run.add_argument("question", help="the question; - reads it from standard input")
    run.add_argument("--store", metavar="FILE", help="record the run there; the file is made where there is none")
    chat.add_argument("--session", required=True, metavar="NAME", help="the conversation to go on with, or to begin")
    for one in (chat, runs, show, resume):
        one.add_argument("--store", default="agents.db", metavar="FILE", help="the store (default: %(default)s)")
    for one in (show, resume):
        one.add_argument("run", help="the run's id, or a beginning of it")
    for verb in ("allow", "deny"):
        about = f"{verb} a call that waits: its id, a beginning of it, or its last part; may be given several times"
        resume.add_argument(f"--{verb}", action="append", default=[], metavar="ID", help=about)
    for one in (run, chat, resume):
        _add_agent(one, model)
    return parser


def _add_agent(run: argparse.ArgumentParser, model: str) -> None:
    """Add the options that describe an agent."""
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
    about = "an agent of a file or of a module, in place of all of these"
    run.add_argument("--agent", metavar="FILE|MODULE[:NAME]", help=about)


async def _demo(options: argparse.Namespace) -> int:
    from tinyagent.cli.demo import demo
    from tinyagent.cli.show import Terminal

    await demo(options.question, options.model, Terminal(), code=options.code, local=options.local)
    return 0


async def _of_runs(options: argparse.Namespace) -> int:
    from tinyagent.cli import runs

    status: int = await getattr(runs, options.name)(options)
    return status
