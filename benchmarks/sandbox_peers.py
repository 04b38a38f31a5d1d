"""One measurement of one executor in a process of its own, for `sandbox.py`.

    echo '{"executor": "monty", "metric": "block", "options": {}}' | python sandbox_peers.py

Reads a job as JSON, writes its result as JSON. Needs the standard library and the package that it measures, so an
executor that lives in another virtual environment is measured with that one's interpreter. Times are milliseconds.
"""
from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])
TICK = 0.005


# ---------------------------------------------------------------- the tools of every session
def sync_tool(x: int) -> int:
    """Give back a number."""
    return x


async def async_tool(x: int) -> int:
    """Give back a number."""
    return x


async def nap(x: int) -> int:
    """Sleep 0.2 s."""
    await asyncio.sleep(0.2)
    return x


def doze(x: int) -> int:
    """Sleep 0.2 s."""
    time.sleep(0.2)
    return x


TOOLS = {tool.__name__: tool for tool in (sync_tool, async_tool, nap, doze)}


# ---------------------------------------------------------------- the executors
class Executor:
    """What is measured, behind one interface.

    Attributes:
        package: What must be importable; the distribution whose version is told.
        apart: Its sessions are processes.
        styles: How its code can call tools, of `CALLS`.
        small: It gets the small kernels, since it is slow.
    """

    package = ""
    distribution = ""
    apart = False
    styles = ("sync",)
    small = False

    async def boot(self) -> None:
        """Start what all sessions share."""

    async def open(self, *, cold: bool = False):
        """A started session; `cold` for one that nothing was prepared for."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Wait until it has prepared what it prepares for the next session."""

    async def shut(self) -> None:
        """End what all sessions share."""

    async def processes(self, sessions: list) -> list[int]:
        """The process of each session."""
        return descendants()

    async def ten_tools(self, code: str) -> float:
        """Seconds for a block that calls a tool of 0.2 s ten times."""
        session = await self.open()
        began = time.perf_counter()
        expect(await session.run(code), 45)
        seconds = time.perf_counter() - began
        await session.close()
        return seconds

    def outcomes(self, blocks: list[str]) -> list[dict]:
        """What blocks give in a session of their own; runs in a process of its own, without an event loop."""
        raise NotImplementedError


class Exec(Executor):
    """`exec` and `eval` with a dict."""

    async def open(self, *, cold: bool = False):
        return ExecSession()

    def outcomes(self, blocks: list[str]) -> list[dict]:
        session, told = ExecSession(), []
        for code in blocks:
            value = error = None
            with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
                try:
                    value = as_text(session.evaluate(code, f"<block {len(told) + 1}>"))
                except BaseException as caught:
                    error = type(caught).__name__
            told.append({"stdout": output.getvalue(), "repr": value, "type": error})
        return told


class ExecSession:
    def __init__(self) -> None:
        self._names = {"__name__": "__main__", **TOOLS}

    def evaluate(self, code: str, file: str = "<code>"):
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, file, "exec", dont_inherit=True), self._names)
        if last is not None:
            return eval(compile(ast.Expression(last.value), file, "eval", dont_inherit=True), self._names)

    async def run(self, code: str):
        return self.evaluate(code)

    async def close(self) -> None:
        pass


class Smolagents(Executor):
    """smolagents' interpreter of Python's syntax tree, with all imports allowed."""

    package = distribution = "smolagents"
    small = True

    async def open(self, *, cold: bool = False):
        return SmolagentsSession()

    def outcomes(self, blocks: list[str]) -> list[dict]:
        session, told = SmolagentsSession(), []
        for code in blocks:
            value = error = said = None
            try:
                value = as_text(session.execute(code).output)
            except BaseException as caught:  # the exception of the code is named in the text of smolagents' own
                error, said = type(caught).__name__, str(caught)[-2000:]
            output = str(session.execute.state.get("_print_outputs", ""))
            told.append({"stdout": output, "repr": value, "type": error, "said": said})
        return told


class SmolagentsSession:
    def __init__(self) -> None:
        from smolagents.local_python_executor import LocalPythonExecutor

        self.execute = LocalPythonExecutor(additional_authorized_imports=["*"])
        self.execute.send_tools(dict(TOOLS))

    async def run(self, code: str):
        return self.execute(code).output

    async def close(self) -> None:
        pass


class Monty(Executor):
    """Monty through its pool of worker processes, and `feed_run` of a session."""

    package, distribution = "pydantic_monty", "pydantic-monty"
    apart = True
    styles = ("sync", "async", "gather")

    def __init__(self) -> None:
        self._pool = None

    async def boot(self) -> None:
        self._pool = await self._new_pool(400)

    @staticmethod
    async def _new_pool(processes: int):
        from pydantic_monty import AsyncMonty

        return await AsyncMonty(max_processes=processes).__aenter__()

    async def open(self, *, cold: bool = False):
        pool = await self._new_pool(1) if cold else self._pool
        session = pool.checkout(limits={"max_suspensions": 10_000_000})
        return MontySession(await session.__aenter__(), pool if cold else None)

    async def shut(self) -> None:
        await self._pool.__aexit__(None, None, None)

    def outcomes(self, blocks: list[str]) -> list[dict]:
        return asyncio.run(self._outcomes(blocks))

    async def _outcomes(self, blocks: list[str]) -> list[dict]:
        from pydantic_monty import CollectString, MontyError, OSAccess

        await self.boot()
        session, files, told = await self.open(), OSAccess(), []
        for code in blocks:
            value = error = None
            output = CollectString()
            kept, ask = with_value_kept(code)
            try:
                await session.feed_run(kept, print_callback=output, os=files)
                value = ask and await session.feed_run(ask, print_callback=output, os=files)
            except MontyError as caught:
                error = type(caught.exception()).__name__
            except Exception as caught:
                error = type(caught).__name__
            told.append({"stdout": output.output, "repr": value, "type": error})
        return told


def with_value_kept(code: str) -> tuple[str, str | None]:
    """The code, its trailing expression assigned; and code for that value as text.

    Monty changes some types of values when it hands them over; what they are for the code itself counts here.
    """
    with contextlib.suppress(SyntaxError):
        body, lines = ast.parse(code).body, code.encode().splitlines(keepends=True)
        if body and isinstance(body[-1], ast.Expr):
            start = sum(map(len, lines[: body[-1].lineno - 1])) + body[-1].col_offset
            end = sum(map(len, lines[: body[-1].end_lineno - 1])) + body[-1].end_col_offset
            whole = code.encode()
            kept = whole[:start] + b"kept_value = (" + whole[start:end] + b"\n)" + whole[end:]
            return kept.decode(), "None if kept_value is None else repr(kept_value)"
    return code, None


class MontySession:
    def __init__(self, session, pool) -> None:
        self._session = session
        self._pool = pool  # its own, if any
        self.feed_run = session.feed_run

    async def run(self, code: str):
        return await self.feed_run(code, external_lookup=TOOLS)

    async def close(self) -> None:
        await self._session.__aexit__(None, None, None)
        if self._pool is not None:
            await self._pool.__aexit__(None, None, None)


class Tinyagent(Executor):
    """`ProcessSandbox`."""

    package = distribution = "tinyagent"
    apart = True
    styles = ("sync", "async", "called", "gather")

    def __init__(self) -> None:
        from tinyagent.sandbox.process import ProcessSandbox

        self._sandbox = ProcessSandbox()
        self._count = 0

    async def boot(self) -> None:
        from tinyagent.sandbox.zygote import zygote

        self._zygote = await zygote(())

    async def open(self, *, cold: bool = False):
        from tinyagent.sandbox.base import SandboxLimits

        limits = None
        if cold:  # spare processes wait for sessions of the same limits
            self._count += 1
            limits = SandboxLimits(memory=(512 << 20) + (self._count << 12))
        session = self._sandbox.open(TOOLS.values(), limits)
        await session.start()
        return TinyagentSession(session)

    async def settle(self) -> None:
        """Until every process that is being prepared has said that it is locked."""
        while True:
            fds = [child.fd for child in self._zygote._all_spares()]
            if fds and len(select.select(fds, [], [], 0)[0]) == len(fds):
                return
            await asyncio.sleep(0.001)

    async def shut(self) -> None:
        from tinyagent.sandbox.zygote import close_zygotes

        close_zygotes()

    async def processes(self, sessions: list) -> list[int]:
        return [await session.run("import os\nos.getpid()") for session in sessions]

    async def ten_tools(self, code: str) -> float:
        """In a block of a code agent, whose sandbox has a session ready."""
        agent = scripted_agent([f"```python\n{code}\n```", "```python\nfinal_answer(total)\n```"], eager=False)
        result = await agent.run("go")
        expect(result.output, 45)
        execution = result.steps[0].executions[0]
        expect(len(execution.calls), 10)
        return execution.seconds

    def outcomes(self, blocks: list[str]) -> list[dict]:
        raise NotImplementedError

    async def outcomes_of(self, snippets: list[list[str]], seconds: float) -> list[list[dict] | None]:
        from tinyagent.sandbox.base import SandboxLimits

        slots = asyncio.Semaphore(2)

        async def one(blocks: list[str]) -> list[dict]:
            async with slots, self._sandbox.open((), SandboxLimits(seconds=seconds)) as session:
                told = []
                for code in blocks:
                    got = await session.execute(code)
                    told.append({"stdout": got.stdout, "repr": got.repr, "type": got.error and got.error.type})
                return told

        return await asyncio.gather(*map(one, snippets))


class TinyagentSession:
    def __init__(self, session) -> None:
        self._session = session
        self.close = session.close

    async def run(self, code: str):
        execution = await self._session.execute(code)
        if execution.error is not None:
            raise RuntimeError(str(execution.error))
        return execution.value


EXECUTORS = {"tinyagent": Tinyagent, "exec": Exec, "monty": Monty, "smolagents": Smolagents}


def scripted_agent(replies, *, eager: bool = True):
    from tinyagent import TinyCodeAgent
    from tinyagent.testing.scripted import ScriptedModel

    return TinyCodeAgent(list(TOOLS.values()), model=ScriptedModel(replies), eager=eager)


def as_text(value) -> str | None:
    return None if value is None else repr(value)


def expect(value, wanted) -> None:
    if value != wanted:
        raise RuntimeError(f"got {value!r:.200}, not {wanted!r:.200}")


# ---------------------------------------------------------------- the measurements
async def measure_start(executor: Executor, *, cold: int, warm: int) -> dict:
    """From nothing to the first result of a session, without and with something prepared."""
    began = time.perf_counter()
    await executor.boot()
    boot = ms_since(began)
    told: dict[str, list[float]] = {"cold": [], "first": [], "warm": [], "close": []}
    for kind in ["cold"] * cold + ["first"] + ["warm"] * warm:  # the first has others prepared
        began = time.perf_counter()
        session = await executor.open(cold=kind == "cold")
        expect(await session.run("1+1"), 2)
        told[kind].append(ms_since(began))
        await executor.settle()  # so that nothing goes on in the background of what follows
        began = time.perf_counter()
        await session.close()
        if kind == "warm":
            told["close"].append(ms_since(began))
        await asyncio.sleep(0.01)
    await executor.shut()
    return told | {"boot": [boot]} if executor.apart else told


async def measure_block(executor: Executor, *, times: int) -> dict:
    """A tiny block in a session that has run some."""
    await executor.boot()
    session = await executor.open()
    took = [await timed(session.run("1+1"), 2) for _ in range(times + 20)]
    await session.close()
    await executor.shut()
    return {"block": took[20:]}


async def measure_floor(executor: Executor, *, times: int) -> dict:
    """A byte to another process and back, without any executor: what the machine takes for it."""
    ours, theirs = socket.socketpair()
    if (pid := os.fork()) == 0:
        ours.close()
        while data := theirs.recv(1):
            theirs.send(data)
        os._exit(0)
    theirs.close()
    reader, writer = await asyncio.open_unix_connection(sock=ours)

    async def there_and_back() -> None:
        writer.write(b".")
        await reader.readexactly(1)

    took = [await timed(there_and_back()) for _ in range(times)]
    writer.close()
    await writer.wait_closed()
    os.waitpid(pid, 0)
    return {"floor": took}


#: How code calls a tool, by style: code, and how many calls it makes.
CALLS = {
    "sync": ("t = 0\nfor i in range(20):\n    t += sync_tool(i)\nt", 20),
    "async": ("t = 0\nfor i in range(20):\n    t += await async_tool(i)\nt", 20),
    "called": ("t = 0\nfor i in range(20):\n    t += async_tool(i)\nt", 20),
    "gather": ("import asyncio\nsum(await asyncio.gather(*[async_tool(i) for i in range(50)]))", 50),
}


async def measure_calls(executor: Executor, *, times: int) -> dict:
    """One tool call: the time of a block of calls, shared out."""
    await executor.boot()
    session = await executor.open()
    told = {}
    for style in executor.styles:
        code, count = CALLS[style]
        took = [await timed(session.run(code), count * (count - 1) // 2) / count for _ in range(times + 3)]
        told[style] = took[3:]
    await session.close()
    await executor.shut()
    return told


async def measure_memory(executor: Executor, *, sessions: int) -> dict:
    """Private memory of a session's process, in MB."""
    await executor.boot()
    opened = [await executor.open() for _ in range(sessions)]
    for session in opened:
        await session.run("1+1")
    await asyncio.sleep(0.1)
    told = [of_process(pid, "Private_") for pid in await executor.processes(opened)]
    await asyncio.gather(*[session.close() for session in opened])
    await executor.shut()
    if None in told:
        raise RuntimeError("only root may read the memory maps of locked processes")
    return {"private": told}


async def measure_live(executor: Executor, *, sessions: int) -> dict:
    """That many sessions started at once, all alive after their first result."""
    await executor.boot()
    await (await executor.open()).close()
    await asyncio.sleep(0.2)
    async with Lag() as lag:
        began = time.perf_counter()

        async def one():
            session = await executor.open()
            expect(await session.run("1+1"), 2)
            return session

        opened = await asyncio.gather(*[one() for _ in range(sessions)])
        seconds = time.perf_counter() - began
    told = {"live": [seconds]}
    if executor.apart:
        sizes = [of_process(pid, "Pss:") for pid in descendants()]
        told |= {"live_lag": [lag.greatest * 1e3], "live_pss": [sum(sizes)] if None not in sizes else []}
    async with Lag() as lag:
        began = time.perf_counter()
        await asyncio.gather(*[session.close() for session in opened])
        told["live_close"] = [time.perf_counter() - began]
    await executor.shut()
    return told


#: What computes without end: plainly, deaf to interrupts, and in threads that hold no lock of the interpreter.
SPINNING = [
    "while True: pass",
    "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\nwhile True: pass",
    "import hashlib, threading\nfor _ in range(15):\n    threading.Thread(target=hashlib.pbkdf2_hmac, "
    "args=('md5', b'', b'', 10**9), daemon=True).start()\nwhile True: pass",
]


@contextlib.contextmanager
def one_cpu_group():
    """This process and what it starts share one cpu control group, as in a container: no session has a part of its own."""
    root = next((root for root in map(Path, ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup")) if (root / "tasks").exists()), None)
    root = root or Path("/sys/fs/cgroup")
    group, entry = root / f"tinyagent-{os.getpid()}", "cgroup.procs"
    before = (root / entry, group / entry)
    group.mkdir()
    try:
        before[1].write_text(str(os.getpid()))
        yield
    finally:
        for _ in range(100):
            with contextlib.suppress(OSError):
                for pid in before[1].read_text().split():
                    before[0].write_text(pid)
                group.rmdir()
                break
            time.sleep(0.05)


async def measure_spinning(executor: Executor, *, sessions: int, seconds: float) -> dict:
    """That many sessions that compute without end, in one control group with the host, and one that does small things."""
    from tinyagent.sandbox.base import SandboxLimits
    from tinyagent.sandbox.process import ProcessSandbox

    box, over = ProcessSandbox(limits=SandboxLimits(grace=1.0)), asyncio.Event()
    small, killed = [], 0

    async def spin(session, code):
        await session.execute(code)

    async def innocent(session):
        nonlocal killed
        while not over.is_set():
            began = time.perf_counter()
            execution = await session.execute("nap(1) + 1")
            small.append(ms_since(began) - 200)
            killed += execution.value != 2

    with one_cpu_group():
        all_sessions = [box.open([nap]) for _ in range(sessions + 1)]
        await asyncio.gather(*[session.start() for session in all_sessions])
        *spinners, quiet = all_sessions
        spinning = [
            asyncio.create_task(spin(session, SPINNING[number % 10 % 3 if number % 10 < 3 else 0]))
            for number, session in enumerate(spinners)
        ]
        async with Lag() as lag:
            doing = asyncio.create_task(innocent(quiet))
            await asyncio.sleep(seconds)
            over.set()
            await doing
        await asyncio.gather(*[session.close() for session in all_sessions])
        await asyncio.gather(*spinning)
        from tinyagent.sandbox.zygote import close_zygotes

        close_zygotes()
    return {"spin_lag": [lag.greatest * 1e3], "spin_small": small, "spin_killed": [killed]}


#: Pure Python by name: the code, its size, and its size for slow executors. Long enough that starting it is nothing.
KERNELS = {
    "loop": ("t = 0\nfor i in range({n}):\n    t += i * i % 7\nt", 1_000_000, 50_000),
    "fib": ("def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib({n})", 28, 20),
    "sieve": (
        "flags = [True] * ({n} + 1)\nfor i in range(2, int({n} ** 0.5) + 1):\n    if flags[i]:\n"
        "        for j in range(i * i, {n} + 1, i):\n            flags[j] = False\nsum(flags)",
        700_000,
        20_000,
    ),
    "dict": ("seen = {{}}\nfor i in range({n}):\n    k = i * 7919 % 1009\n    seen[k] = seen.get(k, 0) + 1\nlen(seen)",
             400_000, 20_000),
    "sort": ("data = [i * 7919 % 1000003 for i in range({n})]\nsorted(data)[100]", 500_000, 20_000),
    "regex": ("import re\ntext = 'mail to joe@example.com or ann@test.org now ' * {n}\n"
              "len(re.findall(r'(\\w+)@(\\w+)\\.(com|org)', text))", 60_000, 60_000),
    "json": ("import json\ndata = [{{'id': i, 'name': 'n' * 10, 'tags': ['a', 'b'], 'x': i / 3}} for i in range({n})]\n"
             "len(json.loads(json.dumps(data)))", 20_000, 4_000),
}


async def measure_cpu(executor: Executor, *, times: int) -> dict:
    """Kernels, in a session that keeps no data of the one before."""
    await executor.boot()
    session = await executor.open()
    told: dict[str, list[float]] = {}
    for name, (code, full, small) in KERNELS.items():
        source = code.format(n=small if executor.small else full)
        for _ in range(times):
            await session.run("t = flags = seen = data = text = None")
            told.setdefault(name, []).append(await timed(session.run(source)))
    await session.close()
    await executor.shut()
    return told


#: Ten calls of a tool of 0.2 s.
GATHERED = "import asyncio\ntotal = sum(await asyncio.gather(*[nap(i) for i in range(10)]))\ntotal"
IN_TURN = "total = 0\nfor i in range(10):\n    total += {call}(i)\ntotal"


async def measure_tools(executor: Executor) -> dict:
    """Ten tools of 0.2 s, in seconds."""
    await executor.boot()
    await (await executor.open()).close()
    await asyncio.sleep(0.1)
    told = {}
    if "gather" in executor.styles:
        told["gathered"] = [await executor.ten_tools(GATHERED)]
    called = "nap" if "called" in executor.styles else "await nap" if "async" in executor.styles else "doze"
    told["in_turn"] = [await executor.ten_tools(IN_TURN.format(call=called))]
    await executor.shut()
    return told


async def measure_agents(executor: Executor, *, agents: int) -> dict:
    """Code agents, all at once: two blocks each, one of which gathers ten tool calls."""
    await executor.boot()
    await (await executor.open()).close()
    first = "import asyncio\nparts = await asyncio.gather(*[async_tool(i + {n}) for i in range(10)])\nprint(parts)"
    made = [
        scripted_agent([f"```python\n{first.format(n=n)}\n```", "```python\nfinal_answer(sum(parts))\n```"])
        for n in range(agents)
    ]
    cpu = time.process_time()
    children = cpu_of_children()
    async with Lag() as lag:
        began = time.perf_counter()
        results = await asyncio.gather(*[agent.run("go") for agent in made], return_exceptions=True)
        seconds = time.perf_counter() - began
    cpu = time.process_time() - cpu
    wrong = [r for n, r in enumerate(results) if isinstance(r, BaseException) or r.output != 45 + 10 * n]
    await executor.shut()  # so that the processes are waited for, and their time is known
    return {
        "agents": [seconds],
        "agents_failed": [len(wrong)],
        "agents_cpu": [cpu],
        "agents_sandbox_cpu": [cpu_of_children() - children],
        "agents_lag": [lag.greatest * 1e3],
        "errors": [repr(r)[:300] for r in wrong[:3]],
    }


async def measure_hostile(executor: Executor) -> dict:
    """The adversarial suite."""
    from tests.sandbox.hostile_runner import besiege

    told = await besiege()
    return {
        "hostile_lag": [told["lag"] * 1e3],
        "hostile_busy": [told["busy"] * 1e3],
        "hostile_attempts": [told["attempts"]],
        "hostile_violations": [len(told["violations"])],
        "hostile_s": [told["seconds"]],
        "errors": [f"{name}: {what}"[:300] for name, what in told["violations"].items()],
    }


def measure_snippets(executor: Executor, *, snippets: list[list[str]], seconds: float) -> dict:
    """What each snippet gives, block by block; `None` for one that did not end in time or took its process down."""
    if isinstance(executor, Tinyagent):
        return {"outcomes": asyncio.run(executor.outcomes_of(snippets, seconds))}
    if executor.package:
        importlib.import_module(executor.package)  # before the forks
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        told = [in_fork(executor, blocks, seconds) for blocks in snippets]
        os.chdir("/")
    return {"outcomes": told}


def in_fork(executor: Executor, blocks: list[str], seconds: float) -> list[dict] | None:
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.setsid()
            os.close(inward)
            os.chdir(tempfile.mkdtemp(dir="."))
            sys.stdin = io.StringIO()
            answer = json.dumps(executor.outcomes(blocks)).encode()
            with open(outward, "wb") as pipe:
                pipe.write(answer)
        os._exit(0)
    os.close(outward)
    parts, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and select.select([inward], [], [], left)[0]:
        parts.append(os.read(inward, 1 << 16))
        if not parts[-1]:
            break
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(inward)
    try:
        return json.loads(b"".join(parts))
    except ValueError:
        return None


# ---------------------------------------------------------------- instruments
def ms_since(began: float) -> float:
    return (time.perf_counter() - began) * 1e3


async def timed(run, wanted=None) -> float:
    began = time.perf_counter()
    value = await run
    took = ms_since(began)
    if wanted is not None:
        expect(value, wanted)
    return took


class Lag:
    """How late the event loop was at most, while entered."""

    async def __aenter__(self) -> Lag:
        self.greatest = 0.0
        self._task = asyncio.create_task(self._watch())
        return self

    async def _watch(self) -> None:
        while True:
            before = time.perf_counter()
            try:
                await asyncio.sleep(TICK)
            finally:
                self.greatest = max(self.greatest, time.perf_counter() - before - TICK)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(TICK)
        self._task.cancel()


def descendants() -> list[int]:
    """The processes that this one has started, and those that they have."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def of_process(pid: int, kind: str) -> float | None:
    """Megabytes of a process; `None` where they may not be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except PermissionError:
        return None
    return sum(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# ---------------------------------------------------------------- the program
MEASURES = {
    "floor": measure_floor,
    "start": measure_start,
    "block": measure_block,
    "calls": measure_calls,
    "memory": measure_memory,
    "live": measure_live,
    "spinning": measure_spinning,
    "cpu": measure_cpu,
    "tools": measure_tools,
    "agents": measure_agents,
    "hostile": measure_hostile,
    "snippets": measure_snippets,
}


def about(kind: type[Executor]) -> dict:
    """The version of what is measured; fails where it is not installed."""
    if not kind.package:
        return {"version": ""}
    importlib.import_module(kind.package)
    try:
        return {"version": importlib.metadata.version(kind.distribution)}
    except importlib.metadata.PackageNotFoundError:
        return {"version": "?"}


def work(job: dict) -> dict:
    kind = EXECUTORS[job["executor"]]
    if job["metric"] == "about":
        return about(kind)
    measure = MEASURES[job["metric"]]
    if asyncio.iscoroutinefunction(measure):
        return asyncio.run(measure(kind(), **job["options"]))
    return measure(kind(), **job["options"])


def main() -> None:
    sys.path[:] = [ROOT, *(path for path in sys.path if path not in ("", str(Path(__file__).parent)))]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # each session takes two or three
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    job = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answer:  # whatever executors print goes nowhere
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        try:
            told = work(job)
        except Exception as error:
            told = {"error": f"{type(error).__name__}: {error}"[:500]}
        json.dump(told, answer)
    os._exit(0)  # without a word: Monty's threads can abort an interpreter that ends in order


if __name__ == "__main__":
    main()
