"""A session in its process: carries out the commands of the host, one after the other, in one namespace."""

from __future__ import annotations
import __future__

import _sitebuiltins
import ast
import asyncio
import builtins
import contextlib
import contextvars
import functools
import hashlib
import inspect
import io
import linecache
import multiprocessing.context
import operator
import os
import random
import re
import socket
import sys
import threading
import types
from collections.abc import Coroutine, Mapping
from types import CodeType
from typing import Any

from tinyagent.core.codec import TooLargeError, pack
from tinyagent.core.text import excerpt
from tinyagent.sandbox.awaits.definitions import Definitions, is_worth_keeping
from tinyagent.sandbox.child.channel import Channel
from tinyagent.sandbox.child.interrupts import BLOCK, interrupts
from tinyagent.sandbox.child.output import Output
from tinyagent.sandbox.child.pending import teach_asyncio
from tinyagent.sandbox.child.remote import BlockEnded, Tools, helpers, run_nested
from tinyagent.sandbox.child.report import report
from tinyagent.sandbox.child.rewrite import needs_loop, rewritten, started_in
from tinyagent.sandbox.taken import give_names_back, hint_of_shadowed

#: What the host is told at most: characters of a value's `repr`, names, and characters of a name.
_LONGEST_REPR = 200_000
_MOST_NAMES = 200
_LONGEST_NAME = 100
_REHEARSAL = f"{BLOCK} 0>"
_FUTURES = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


class Session:
    """One namespace, and the code that runs in it."""

    def __init__(self, sock: socket.socket) -> None:
        self._channel = Channel(sock)
        self._output = Output(self._channel)
        self._tools = Tools(self._channel, self._output)
        self._namespace = _new_main()
        self._given = set(self._namespace)
        self._kept: dict[str, str] = {}  # by tool: the name of a value that was put under the tool's name
        self._definitions = Definitions()
        self._futures = 0
        self._value: Any = None  # the value of the piece before
        self._context = contextvars.copy_context()  # what code sets in it stays, as names do
        self._give_loop()

    @functools.cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def _give_loop(self) -> None:
        """Have the main thread's event loop made when it is first asked for, which most blocks never do."""
        policy: Any = getattr(asyncio.events, "_get_event_loop_policy", asyncio.get_event_loop_policy)()
        known = policy.get_event_loop

        def get_event_loop() -> Any:
            if policy._local._loop is None and threading.current_thread() is threading.main_thread():  # noqa: SLF001
                policy.set_event_loop(self._loop)
            return known()

        policy.get_event_loop = get_event_loop

    def serve(self, about: Mapping[str, Any]) -> None:
        """Carry out what the host commands, until the host goes.

        Args:
            about: How the process is locked; told to the host.
        """
        interrupts.install()
        self._channel.send({"t": "ready", **about})
        self.rehearse()
        while True:
            command = self._channel.next_command()
            match command["t"]:
                case "tools":
                    self._add_tools(command)
                case "set":
                    self._namespace.update(command["v"])
                    self._channel.send({"t": "done", "id": command["id"]})
                case "get":
                    self._get(command)
                case "exec":
                    self._execute(command)

    def rehearse(self) -> None:
        """Run a block that nobody hears, so that memory which a fork shares is copied before anybody waits for it."""
        self._channel.muted = True
        self._execute({"t": "exec", "id": 0, "code": "1", "file": _REHEARSAL, "line": 1, "last": True})
        self._channel.muted = False
        linecache.cache.pop(_REHEARSAL, None)

    def _add_tools(self, command: dict[str, Any]) -> None:
        if (seed := command.get("seed")) is not None:
            _seed(seed)
        for tool in command["tools"]:
            self._namespace[tool["name"]] = self._tools.add(tool["name"], tool["async"], tool["doc"])
            self._given.add(tool["name"])

    def _get(self, command: dict[str, Any]) -> None:
        found = {name: self._namespace[name] for name in command["names"] if name in self._namespace}
        self._reply({"t": "done", "id": command["id"]}, found)

    # ---- running a block

    def _execute(self, command: dict[str, Any]) -> None:
        """Run one piece of a block, and tell the host what it gave, whatever happens."""
        if command["line"] == 1:  # a new block
            self._own_streams()
        self._tools.ended = False
        self._output.begin()
        done: dict[str, Any] = {"t": "done", "id": command["id"]}
        value = error = None
        try:
            try:
                interrupts.begin()
                if command["code"] or not command["last"]:
                    self._value = None
                    self._value = self._run(command["code"], command["file"], command["line"])
                if command["last"]:
                    value, self._value = self._value, None
                    done["repr"] = None if value is None else _shown(value)
            finally:
                interrupts.running = False
        except BlockEnded:
            value = None
        except BaseException as caught:  # noqa: BLE001 - whatever the code raised is told
            error = caught
        if error is not None and not self._tools.ended:
            value = None
            if (hint := hint_of_shadowed(error, self._namespace)) is not None:
                error.add_note(hint)
            done["e"] = report(error)
        for name in ("stdout", "stderr"):  # which the code may have replaced
            with contextlib.suppress(Exception):
                getattr(sys, name).flush()
        if command["last"] or error is not None or self._tools.ended:
            if note := give_names_back(self._namespace, self._tools.by_name, self._kept):
                self._output.add(note)
            self._tools.end_calls()
        self._output.flush()
        done["ended"] = self._tools.ended
        done["names"] = self._names()
        self._reply(done, value)

    def _own_streams(self) -> None:
        """Give a block standard streams that work, whatever the code has made of those it had."""
        sys.stdout = sys.stderr = None  # objects of the code may close the streams as they go
        self._output.renew()
        sys.stdout = sys.__stdout__ = self._output.stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self._output.stderr  # type: ignore[misc]
        sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")  # empty: input() raises EOFError

    def _reply(self, done: dict[str, Any], value: Any) -> None:
        try:
            self._channel.send({**done, "v": pack(value, text=done.get("repr"))})
        except TooLargeError as error:
            done.pop("repr", None)
            self._channel.send({**done, "e": done.get("e") or report(error)})

    def _run(self, code: str, file: str, line: int) -> Any:
        """Run a piece of code, and return the value of the expression at its end."""
        _remember_source(code, file, line)
        code = "\n" * (line - 1) + code
        tree = ast.parse(code, file)
        in_loop = needs_loop(tree)
        kinds = {name: tool.is_async for name, tool in self._tools.by_name.items()}
        if kinds:
            tree = self._with_tools(tree, kinds, code, file)
        trailing = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        parts = [self._compiled(tree, file, "exec")]
        if isinstance(trailing, ast.Expr):
            parts.append(self._compiled(ast.Expression(trailing.value), file, "eval"))
        if in_loop or any(map(_is_coroutine, parts)):
            return self.run_until_done(self._in_loop(parts))
        value = None
        for part in parts:
            value = self._context.run(eval, part, self._namespace)
        return value

    def _with_tools(self, tree: ast.Module, tools: Mapping[str, bool], code: str, file: str) -> ast.Module:
        """Return a piece of code with its calls of tools made explicit, and keep what it defines."""
        try:
            flow = self._definitions.flow(tree, tools)
        except RecursionError:  # nobody awaits in code that deep
            return tree
        self._tools.started = started_in(flow, file, self._definitions)
        known = ast.parse(code, file) if is_worth_keeping(tree, tools) else tree  # anew, since `tree` is changed
        self._definitions.learn(known, flow.names, tools, file)
        return rewritten(tree, tools, flow, file)

    def _compiled(self, tree: ast.Module | ast.Expression, file: str, mode: str) -> CodeType:
        """Return compiled code; its `from __future__` imports hold for what follows, too, as in a notebook."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | self._futures
        code: CodeType = compile(tree, file, mode, flags, dont_inherit=True)
        self._futures |= code.co_flags & _FUTURES
        return code

    async def _in_loop(self, parts: list[CodeType]) -> Any:
        value = None
        for part in parts:
            value = eval(part, self._namespace)
            if _is_coroutine(part):
                value = await value
        return value

    def run_until_done(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the session's loop, and return its value. An interrupt cancels it, and it may clean up."""
        task = self._loop.create_task(coroutine, context=self._context)
        interrupts.task = task
        try:
            while True:
                try:
                    return self._loop.run_until_complete(task)
                except KeyboardInterrupt:
                    if task.done():
                        raise
                    interrupts.cancelled = True
                    task.cancel()
                except asyncio.CancelledError:
                    if interrupts.cancelled:
                        raise KeyboardInterrupt from None
                    raise
        finally:
            interrupts.task = None

    def _names(self) -> list[str]:
        """Return the names that the code has defined, in order."""
        names = [
            name[:_LONGEST_NAME]
            for name, value in list(self._namespace.items())
            if type(name) is str and name not in self._given and name[:1] != "_" and type(value) is not types.ModuleType
        ]
        return names[:_MOST_NAMES]


def prepare() -> None:
    """Change Python as every session needs it, once, before the sessions are forked."""
    for name, helper in helpers().items():
        setattr(builtins, name, helper)
    teach_asyncio()
    asyncio.run = run_nested(asyncio.run)
    sys.argv[:] = [""]
    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D (i.e. EOF)")  # what `site` would have added
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _sitebuiltins._Helper()  # noqa: SLF001
    threads_only: Any = multiprocessing.context.BaseContext
    threads_only.Lock = lambda _: threading.Lock()  # for ThreadPool: there are no other processes
    threads_only.RLock = lambda _: threading.RLock()


def _new_main() -> dict[str, Any]:
    """Return the namespace of a fresh `__main__`, so that classes defined in it can be pickled and looked up."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, asyncio=asyncio)
    sys.modules["__main__"] = module
    return module.__dict__


def _remember_source(code: str, file: str, line: int) -> None:
    """Have tracebacks show the lines of a piece, which begins at a line of its block."""
    known = linecache.cache.get(file)
    lines = list(known[2]) if known is not None and len(known) == 4 else []
    lines = lines[: line - 1]
    lines += ["\n"] * (line - 1 - len(lines)) + [text + "\n" for text in re.sub("\r\n?", "\n", code).split("\n")]
    linecache.cache[file] = (sum(map(len, lines)), None, lines, file)


def _is_coroutine(code: CodeType) -> bool:
    return bool(code.co_flags & inspect.CO_COROUTINE)


def _shown(value: object) -> str:
    text = repr(value)
    return excerpt(text, _LONGEST_REPR, f"... ({len(text):,} characters)")


def _seed(seed: str) -> None:
    """Seed the random numbers, so that a session that is run again draws the same."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big"))


def reseed() -> None:
    """Seed numpy's random numbers anew in a forked session; `random` does so by itself."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(os.urandom(4), "big"))
