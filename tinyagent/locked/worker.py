"""Worker processes: what may crash, hang or be taken over works there, and not in this process.

A worker is a Python of its own that knows nothing of this process: neither its modules nor its environment. It
answers one request at a time, within a deadline and a limit of memory; on Linux it is locked before the first one.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import Any

from tinyagent.core.errors import TinyAgentError
from tinyagent.locked.interpreter import ROOT, command, search_path, why_it_cannot_start
from tinyagent.locked.serving import HEAD, encode

#: The most bytes of an answer, and of what is told about it.
LONGEST_ANSWER, LONGEST_HEAD = 256 << 20, 1 << 20
#: Bytes of an answer that are held back for its reader.
_BUFFER = 1 << 20


class WorkerError(TinyAgentError):
    """A worker process could not be started, or ended before it had answered."""


class Workers:
    """Worker processes of one kind, for one event loop. Close them with it.

    A process is started by the first request, or by `start_ahead`, and answers further ones; one that was broken, or
    took too long, is ended, and the next request gets another.

    Args:
        serves: The module that answers there; see `tinyagent.locked.serving.Servant`.
        memory: Bytes that a process may take beside what it has when it begins to answer.
        at_once: The most processes; further requests wait.
    """

    def __init__(self, serves: str, *, memory: int, at_once: int = 1) -> None:
        self._settings = {"serves": serves, "memory": memory, "path": search_path()}
        self._places = asyncio.Semaphore(at_once)
        self._starting = asyncio.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*map(self._end, list(self._all)))

    async def start_ahead(self) -> None:
        """Start a process if there is none, and do not wait until it is ready.

        Raises:
            WorkerError: It cannot be started.
        """
        async with self._starting:
            if not self._all:
                self._idle.append(await self._started())

    async def ask(self, request: dict[str, Any], content: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Return the answer to a request: an object of JSON, and bytes. Trust neither: the process may be taken over.

        Args:
            request: An object of JSON; `seconds` is added to it.
            content: Bytes that belong to it.
            seconds: How long the answer may take, from when a process is free.

        Raises:
            TimeoutError: It took longer; the process has been killed.
            WorkerError: There is no process, or it ended without an answer: it took too much memory, or broke.
        """
        async with self._places:
            worker = await self._free()
            try:
                async with asyncio.timeout(seconds):
                    answer = await worker.answer({**request, "seconds": seconds}, content)
            except (OSError, EOFError, ValueError) as error:
                await self._end(worker)
                if isinstance(error, TimeoutError):
                    raise
                raise WorkerError(
                    "the worker process ended without an answer: it took too much memory, or broke"
                ) from error
            except BaseException:
                await self._end(worker)
                raise
            self._idle.append(worker)
            return answer

    async def _free(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.runs:
                return worker
            await self._end(worker)
        return await self._started()

    async def _started(self) -> _Worker:
        worker = _Worker(await _spawned())
        self._all.add(worker)
        worker.send(self._settings, b"")
        return worker

    async def _end(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await worker.end()


class _Worker:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes were asked for
        self._process, self._requests, self._answers = process, process.stdin, process.stdout
        self._ready = False

    @property
    def runs(self) -> bool:
        return self._process.returncode is None and not self._answers.at_eof()

    def send(self, about: dict[str, Any], content: bytes) -> None:
        self._requests.write(encode(about, content))

    async def answer(self, request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
        if not self._ready:
            await self._read()
            self._ready = True
        self.send(request, content)
        await self._requests.drain()
        return await self._read()

    async def _read(self) -> tuple[dict[str, Any], bytes]:
        head, content = HEAD.unpack(await self._answers.readexactly(HEAD.size))
        if head > LONGEST_HEAD or content > LONGEST_ANSWER:
            raise ValueError("the answer is too long")
        about = json.loads(await self._answers.readexactly(head))
        if not isinstance(about, dict):
            raise ValueError("the answer is no object")  # noqa: TRY004 - what it says is wrong, not what it was given
        return about, await self._answers.readexactly(content)

    async def end(self) -> None:
        """Kill it, and wait for its end; what it still says is thrown away."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.communicate()


async def _spawned() -> asyncio.subprocess.Process:
    # Windows cannot start a process without it
    environment = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    try:
        return await asyncio.create_subprocess_exec(
            *command("tinyagent.locked.serving"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=ROOT,
            limit=_BUFFER,
            start_new_session=True,
        )
    except OSError as error:
        raise WorkerError(f"a worker process {why_it_cannot_start(error)}") from error
    except NotImplementedError as error:
        raise WorkerError("this event loop starts no processes: on Windows, use the one of asyncio.run()") from error
