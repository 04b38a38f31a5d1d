"""The store on disk: what was answered is there, whoever else uses the file, and whatever happens on the way."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import pytest

from tinyagent import ConfigurationError, ReactAgent, SQLiteStore
from tinyagent.core import sqlite as module
from tinyagent.core.shared import holding
from tinyagent.core.store import REDACTED
from tinyagent.errors import StoreError, StoreFormatError
from tinyagent.testing import ScriptedModel, call

forks = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
unix = pytest.mark.skipif(sys.platform == "win32", reason="limits and permissions of Unix")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agents.db"


@pytest.fixture(autouse=True)
def _nothing_left_open(path):
    yield
    gc.collect()
    assert threads() == []
    if Path("/proc/self/fd").exists():
        assert not [file for file in open_files() if str(path) in file]


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "tinyagent store"]


def open_files():
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(link.readlink()))
    return found


def contents(path):
    """The records in the file, as a program of its own reads them, which finds it whole."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {
            (run, key): text
            for run, key, text in db.execute(
                "SELECT name, key, text FROM records JOIN runs ON runs.id = run ORDER BY records.id"
            )
        }


@contextlib.contextmanager
def locked(path):
    """The file, locked as by another program that writes."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield db
        if db.in_transaction:
            db.execute("ROLLBACK")


def started(program, *args, **options):
    """A process that runs a program whose `main` is given `args` as texts."""
    program += "\nasyncio.run(main(*sys.argv[1:]))"
    command = [sys.executable, "-c", "import asyncio, os, sys\nfrom tinyagent import SQLiteStore\n" + program]
    return subprocess.Popen([*command, *map(str, args)], stdout=subprocess.PIPE, text=True, **options)


def outcome(program, *args):
    process = started(program, *args)
    said, _ = process.communicate()
    assert process.returncode == 0
    return said


# -- the object


@pytest.mark.parametrize("given", ["", ":memory:", "file:agents.db?mode=memory", "a\0b", None, 7, b"agents.db"])
def test_what_is_no_path_of_a_file_is_refused(given):
    with pytest.raises(ConfigurationError, match=r"^SQLiteStore\(.*\): pass the path of a file, such as 'agents\.db'"):
        SQLiteStore(given)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"pass the path of a file, such as 'agents\.db', and not of a folder"):
        SQLiteStore(tmp_path)


@pytest.mark.parametrize("redact", [7, "secret", ["secret"]])
def test_a_redact_that_cannot_be_called_is_refused(path, redact):
    with pytest.raises(ConfigurationError, match=r"^redact=.*: pass a function that takes a text"):
        SQLiteStore(path, redact=redact)


def test_nothing_is_made_before_it_is_used(path):
    SQLiteStore(path)
    assert list(path.parent.iterdir()) == []


async def test_a_relative_path_means_the_same_file_for_ever(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    store = SQLiteStore(path.name)
    monkeypatch.chdir("/")
    await store.put("r", "key", "text")
    assert contents(path) == {("r", "key"): "text"}


def test_importing_the_package_loads_neither_sqlite_nor_locks():
    program = "import sys, tinyagent; print({'sqlite3', 'fcntl', 'tinyagent.core.sqlite'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "set()\n"


# -- open while it is used


async def test_outside_of_runs_it_is_open_for_the_call_alone(path):
    store = SQLiteStore(path)
    await store.put("r", "key", "text")
    assert threads() == []
    assert [file.name for file in path.parent.iterdir()] == ["agents.db"]


@pytest.mark.each_loop
@pytest.mark.parametrize("fails", [False, True])
async def test_within_a_run_it_is_open_until_the_outermost_run_ends(path, fails):
    seen = []

    async def look() -> str:
        seen.append(threads())
        if fails and len(seen) == 2:
            raise KeyError("fails")
        return "seen"

    inner = ReactAgent([look], model=ScriptedModel([call("look"), "inner"]), name="inner")
    agent = ReactAgent(
        [look, inner.as_tool("ask", "Ask.")],
        model=ScriptedModel([call("look"), call("ask", task="x"), call("look"), "ok"]),
    )
    store = SQLiteStore(path)
    assert (await agent.run("go", store=store, run_id="r")).output == "ok"
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 1
    assert threads() == []
    assert len(contents(path)) > 6


async def test_a_run_that_is_cancelled_closes_it(path):
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    agent = ReactAgent([wait], model=ScriptedModel([call("wait")]))
    run = asyncio.create_task(agent.run("go", store=SQLiteStore(path), run_id="r"))
    await started.wait()
    assert len(threads()) == 1
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert threads() == []


def test_an_event_loop_that_ends_under_a_run_closes_it(path):
    async def main():
        async with holding():
            await SQLiteStore(path).put("r", "key", "text")
            asyncio.get_running_loop().stop()
            await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="Event loop stopped"):
        asyncio.run(main())
    assert contents(path) == {("r", "key"): "text"}


async def test_a_run_is_answered_from_the_file_by_another_process(path):
    asked = []

    async def ask() -> str:
        asked.append(1)
        return "42"

    agent = ReactAgent([ask], model=ScriptedModel([call("ask"), "It is 42."]))
    await agent.run("go", run_id="r", store=SQLiteStore(path))
    program = """
from tinyagent import ReactAgent
from tinyagent.testing import ScriptedModel
async def main(path):
    async def ask() -> str:
        raise SystemExit("asked again")
    print((await ReactAgent([ask], model=ScriptedModel([])).run("go", run_id="r", store=SQLiteStore(path))).output)
"""
    assert outcome(program, path) == "It is 42.\n"


# -- many at once


async def test_all_that_waits_goes_into_one_commit(path, monkeypatch):
    sizes, commit = [], module._Connection._commit

    def counted(connection, works):
        sizes.append(len(works))
        return commit(connection, works)

    monkeypatch.setattr(module._Connection, "_commit", counted)
    store = SQLiteStore(path)
    async with holding():
        await store.load("r")
        with locked(path):
            waiting = [asyncio.create_task(store.put("r", str(number), "x" * 300)) for number in range(500)]
            while len(sizes) < 2:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert await asyncio.gather(*waiting) == [True] * 500
    assert sum(sizes) == 501
    assert len(sizes) <= 4
    assert {text for _, text in contents(path)} == {str(number) for number in range(500)}


async def test_what_was_asked_for_before_is_done_before(path):
    store = SQLiteStore(path)
    async with holding():
        put, loaded, deleted, again = await asyncio.gather(
            store.put("r", "key", "one"), store.load("r"), store.delete("r"), store.put("r", "key", "two")
        )
    assert (put, loaded, deleted, again) == (True, {"key": "one"}, None, True)


def test_one_object_serves_several_event_loops_in_several_threads(path):
    store = SQLiteStore(path)
    failures = []

    async def work(number):
        async with holding():
            for place in range(20):
                assert await store.put(f"run {number}", str(place), "x") is True
                await store.put("shared", str(place), str(number))
            assert len(await store.load(f"run {number}")) == 20

    def run(number):
        try:
            asyncio.run(work(number))
        except BaseException:
            failures.append(traceback.format_exc())

    workers = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert len(contents(path)) == 6 * 20 + 20


def test_four_processes_on_one_file(path):
    """They begin on an empty file at once; each key is written by one of them."""
    program = """
from tinyagent.core.shared import holding
async def main(path, me):
    store = SQLiteStore(path)
    async with holding():
        mine = []
        for place in range(50):
            done = await asyncio.gather(store.put(me, f"{me}/{place}", "x" * 300), store.put("all", f"all/{place}", me))
            assert done[0] is True
            mine += [place] * done[1]
        assert len(await store.load(me)) == 50
    print(mine)
"""
    processes = [started(program, path, me) for me in "abcd"]
    first = [json.loads(process.communicate()[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4
    found = contents(path)
    assert sorted(itertools.chain(*first)) == list(range(50))
    assert all(found["all", f"all/{place}"] == me for me, places in zip("abcd", first, strict=True) for place in places)
    assert len(found) == 4 * 50 + 50


def test_runs_are_found_by_an_index(path):
    asyncio.run(SQLiteStore(path).put("r", "key", "text"))
    asked = []
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.set_trace_callback(asked.append)
        module._runs(db, "end")
        db.set_trace_callback(None)
        plan = " ".join(row[-1] for row in db.execute("EXPLAIN QUERY PLAN " + asked[0]))
    assert "SEARCH records USING COVERING INDEX" in plan
    assert "(run=? AND key=?)" in plan


# -- cancelled callers


async def test_a_caller_that_is_cancelled_while_the_file_is_locked(path):
    store = SQLiteStore(path)
    async with holding():
        await store.put("r", "first", "1")
        with locked(path):
            cancelled = [asyncio.create_task(store.put("r", f"cancelled {number}", "x")) for number in range(3)]
            kept = asyncio.create_task(store.put("r", "kept", "2"))
            await asyncio.sleep(0)
            for task in cancelled:
                task.cancel()
            assert [type(answer) for answer in await asyncio.gather(*cancelled, return_exceptions=True)] == [
                asyncio.CancelledError
            ] * 3
        assert await kept is True
        assert {"first": "1", "kept": "2"}.items() <= (await store.load("r")).items()


async def test_a_lone_caller_that_is_cancelled_leaves_nothing_open(path):
    store = SQLiteStore(path)
    await store.put("r", "first", "1")
    with locked(path):
        task = asyncio.create_task(store.put("r", "second", "2"))
        while not threads():
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threads() == []
    assert await store.put("r", "third", "3") is True


# -- secrets


async def test_what_redact_has_changed_is_marked(path):
    store = SQLiteStore(path, redact=lambda text: text.replace("hunter2", "***"))
    assert await store.put("r", "plain", '"no secret"') is True
    assert await store.put("r", "secret", '"It is hunter2."') is True
    assert await store.put("r", "secret", '"It is hunter2."') is False
    assert await store.load("r") == {"plain": '"no secret"', "secret": REDACTED + '"It is ***."'}
    assert b"hunter2" not in path.read_bytes()


def test_no_json_text_looks_like_a_redacted_one():
    with pytest.raises(json.JSONDecodeError):
        json.loads(REDACTED + "{}")


def failing(text):
    raise ZeroDivisionError("in redact")


@pytest.mark.parametrize(
    ("redact", "said"),
    [
        (failing, r"agents\.db' has not recorded 'key': redact= failed: ZeroDivisionError: in redact"),
        (
            lambda text: None,
            r"agents\.db' has not recorded 'key': redact= failed: TypeError: it gave NoneType, and no text",
        ),
        (str.encode, "it gave bytes, and no text"),
    ],
)
async def test_a_redact_that_fails_writes_nothing(path, redact, said):
    store = SQLiteStore(path, redact=lambda text: redact(text) if text == "bad" else text)
    async with holding():
        answers = await asyncio.gather(
            store.put("r", "key", "bad"), store.put("s", "key", "good"), return_exceptions=True
        )
        assert isinstance(answers[0], StoreError)
        with pytest.raises(StoreError, match=said):
            raise answers[0]
        assert answers[1] is True
        assert await store.put("r", "key", "good") is True
    assert contents(path) == {("s", "key"): "good", ("r", "key"): "good"}


# -- killed, forked


WRITER = """
from tinyagent.core.shared import holding
async def main(path, round):
    store = SQLiteStore(path)
    async def write(number):
        async with store.claim(f"run {number}") as mine:
            assert mine, "a claim was left"
            for place in range(1_000_000):
                key = f"{round}/{number}/{place}"
                if await store.put(f"run {number}", key, key * 30):
                    os.write(1, f"{key}\\n".encode())
    async with holding():
        await asyncio.gather(*map(write, range(20)))
"""


@unix
@pytest.mark.parametrize("kills", [6])
def test_what_was_answered_is_there_after_a_kill(path, kills):
    """The writer is killed in the middle, again and again; the next one gets all its claims."""
    answered = []
    for turn in range(kills):
        writer = started(WRITER, path, turn)
        answered += [writer.stdout.readline().strip() for _ in range(50 + 37 * turn)]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().splitlines(keepends=True)
        writer.communicate()
        answered += [line.strip() for line in rest if line.endswith("\n")]
    found = contents(path)
    for key in answered:
        assert found[f"run {key.split('/')[1]}", key] == key * 30
    assert len({key.split("/")[0] for key in answered}) == kills


def in_copy(function):
    """What the function gives in a forked copy of this process, as text; how it failed, or that it hung."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            said = repr(function())
        except BaseException:
            said = traceback.format_exc()
        os.write(writing, said.encode()[-4000:])
        os._exit(0)
    os.close(writing)
    try:
        ready, _, _ = select.select([reading], [], [], 50)
        return os.read(reading, 10_000).decode() if ready else "it hung"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reading)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "in a commit"])
class TestForked:
    pytestmark = forks

    async def test_a_copy_opens_its_own(self, path, busy):
        store = SQLiteStore(path)

        def again():
            here = [file for file in open_files() if str(path) in file]
            return here, asyncio.run(store.put("copy", "key", "text")), len(asyncio.run(store.load("r"))), threads()

        async with holding():
            writing = [
                asyncio.create_task(store.put("r", str(number), "x" * 300)) for number in range(200 if busy else 1)
            ]
            if not busy:
                await asyncio.gather(*writing)
            else:
                await asyncio.wait(writing, return_when=asyncio.FIRST_COMPLETED)
            opened, put, _, left = eval(in_copy(again))
            assert (opened, put, left) == ([], True, [])
            assert await asyncio.gather(*writing) == [True] * len(writing)
            assert await store.put("r", "after", "text") is True
            assert (await store.load("copy")) == {"key": "text"}
        assert len(contents(path)) == len(writing) + 2

    async def test_the_original_goes_on_while_copies_come_and_go(self, path, busy):
        store = SQLiteStore(path)
        async with holding():
            for turn in range(5):
                texts = [f"{turn}/{number}" for number in range(20 if busy else 0)]
                writing = [asyncio.create_task(store.put("r", text, "x" * 300)) for text in texts]
                await asyncio.sleep(0)
                assert in_copy(gc.collect).isdigit()
                assert await asyncio.gather(*writing) == [True] * len(texts)
                assert await store.put("r", f"{turn}", "text") is True
        assert len(contents(path)) == 5 + (100 if busy else 0)


# -- what can go wrong


def nobody(function):
    """Call the function in a copy that has no rights beyond those of everybody."""

    def call():
        if os.geteuid() == 0:  # whom no permissions stop
            os.setuid(65534)
        try:
            return function()
        except StoreError as error:
            return str(error)

    return in_copy(call)


@pytest.fixture
def public():
    """A folder that every user can see."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


def filled(path, records=100):
    async def fill():
        store = SQLiteStore(path)
        async with holding():
            await asyncio.gather(*(store.put("r", f"r/{number}", "x" * 3000) for number in range(records)))

    asyncio.run(fill())
    return path.read_bytes()


async def failure(work):
    with pytest.raises(StoreError) as caught:
        await work
    return str(caught.value)


async def test_a_folder_that_is_missing(path):
    store = SQLiteStore(path.parent / "missing" / path.name)
    said = await failure(store.load("r"))
    assert f"'{path.parent}/missing/agents.db' failed" in said
    assert "Its folder must be there" in said
    (path.parent / "missing").mkdir()
    assert await store.put("r", "key", "text") is True


async def test_a_folder_in_its_place(path):
    store = SQLiteStore(path)
    path.mkdir()
    assert "unable to open database file" in await failure(store.put("r", "key", "text"))
    path.rmdir()
    assert await store.put("r", "key", "text") is True


@unix
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_a_file_that_may_not_be_written(public, mode):
    filled(public / "agents.db")
    (public / "agents.db").chmod(mode)
    public.chmod(0o777)
    said = nobody(lambda: asyncio.run(SQLiteStore(public / "agents.db").put("r", "key", "text")))
    assert f"The store '{public}/agents.db' failed" in said
    assert "writable for this user" in said


@unix
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_may_not_be_written(public, there):
    if there:
        filled(public / "agents.db")
        (public / "agents.db").chmod(0o666)
    public.chmod(0o555)
    said = nobody(lambda: asyncio.run(SQLiteStore(public / "agents.db").put("r", "key", "text")))
    assert f"The store '{public}/agents.db' failed" in said
    assert "writable for this user" in said


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: b"{}" * 1000, "file is not a database. It is no store"),
        (lambda content: content[:50], "malformed. It is damaged: bring back a copy"),
        (lambda content: content[: len(content) // 2], "malformed. It is damaged: bring back a copy"),
        (lambda content: content[:100] + bytes(len(content) - 100), "malformed. It is damaged"),
        (lambda content: content[:4096] + b"\xff" * (len(content) - 4096), "malformed. It is damaged"),
    ],
    ids=["another file", "truncated early", "truncated", "zeros", "damaged pages"],
)
def test_a_damaged_file(path, damage, said):
    sound = filled(path)
    damaged = damage(sound)
    path.write_bytes(damaged)
    store = SQLiteStore(path)
    for work in (lambda: store.load("r"), lambda: store.put("r", "key", "text")):
        text = asyncio.run(failure(work()))
        assert text.startswith(f"The store '{path}' failed: DatabaseError: ")
        assert said in text
    assert path.read_bytes() == damaged
    path.write_bytes(sound)
    assert len(asyncio.run(store.load("r"))) == 100


@pytest.mark.parametrize("version", [0, 1, 7])
async def test_the_database_of_another_program_is_left_alone(path, version):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE users(id, name)")
        db.execute(f"PRAGMA user_version={version}")
    before = path.read_bytes()
    said = await failure(SQLiteStore(path).put("r", "key", "text"))
    assert said == f"The file '{path}' is the database of another program: pass another path."
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [-1, 2, 99])
async def test_a_newer_format_is_refused(path, version):
    store = SQLiteStore(path)
    await store.put("r", "key", "text")
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={version}")
    with pytest.raises(
        StoreFormatError, match=rf"agents\.db' has the format {version}, .* knows those up to 1: update"
    ):
        await store.load("r")
    with pytest.raises(StoreFormatError):
        await ReactAgent(model=ScriptedModel(["hello"])).run("go", run_id="r", store=store)


NEXT = ["ALTER TABLE runs ADD COLUMN began", "UPDATE runs SET began = 7"]


async def test_an_older_format_is_brought_up_to_date(path, monkeypatch):
    await SQLiteStore(path).put("r", "key", "text")
    monkeypatch.setattr(module, "_STEPS", [*module._STEPS, NEXT, ["UPDATE runs SET began = began + 1"]])
    assert await SQLiteStore(path).load("r") == {"key": "text"}
    assert await SQLiteStore(path).put("r", "more", "text") is True
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT name, began FROM runs").fetchall() == [("r", 8)]
        assert db.execute("PRAGMA user_version").fetchone() == (3,)


async def test_a_file_is_brought_up_to_date_as_a_whole_or_not_at_all(path, monkeypatch):
    await SQLiteStore(path).put("r", "key", "text")
    before = contents(path)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_STEPS", [*module._STEPS, NEXT, ["UPDATE unknown SET began = 8"]])
        assert "no such table: unknown" in await failure(SQLiteStore(path).load("r"))
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert [row[1] for row in db.execute("PRAGMA table_info(runs)")] == ["id", "name"]
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
    assert contents(path) == before
    assert await SQLiteStore(path).load("r") == {"key": "text"}


async def test_a_file_that_stays_locked(path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    store = SQLiteStore(path)
    async with holding():
        await store.put("r", "key", "text")
        with locked(path):
            answers = await asyncio.gather(*(store.put("r", f"{n}", "x") for n in range(3)), return_exceptions=True)
        assert len({id(answer) for answer in answers}) == 3, "one error for several runs"
        for answer in answers:
            assert isinstance(answer, StoreError)
            assert isinstance(answer.__cause__, sqlite3.OperationalError)
            assert f"The store '{path}' failed: OperationalError: database is locked. Others have kept" in str(answer)
        assert await store.put("r", "0", "text") is True
    assert contents(path) == {("r", "key"): "text", ("r", "0"): "text"}


async def test_a_file_that_is_locked_when_it_is_opened(path, monkeypatch):
    tried, opened = [], module._opened
    monkeypatch.setattr(module, "_opened", lambda *args, **options: tried.append(args) or opened(*args, **options))
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    store = SQLiteStore(path)
    with locked(path):
        assert "database is locked" in await failure(store.put("r", "key", "text"))
        assert len(tried) == 1, "opened once more to be closed"
    assert await store.put("r", "key", "text") is True


async def test_whoever_writes_before_the_switch_to_wal_is_waited_for(path, monkeypatch):
    """SQLite itself does not wait for writers there."""
    migrate, waited = module._migrate, threading.Event()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:

        def come(statement):
            if "journal_mode" in statement and not waited.is_set():
                other.execute("BEGIN IMMEDIATE")

        def watched(file, path):
            file.set_trace_callback(come)
            migrate(file, path)

        def sleep(seconds):
            other.execute("ROLLBACK")
            waited.set()

        monkeypatch.setattr(module, "_migrate", watched)
        monkeypatch.setattr(module.time, "sleep", sleep)
        assert await SQLiteStore(path).put("r", "key", "text") is True
        assert waited.is_set()
    assert contents(path) == {("r", "key"): "text"}


async def test_a_text_that_is_too_large_fails_alone(path, monkeypatch):
    opened = module._opened

    def small(*args, **options):
        file = opened(*args, **options)
        file.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        return file

    monkeypatch.setattr(module, "_opened", small)
    store = SQLiteStore(path)
    async with holding():
        assert await store.put("r", "first", "x" * 5000) is True
        assert "too big" in await failure(store.put("s", "large", "x" * 50_000))
        assert await store.put("r", "second", "x" * 5000) is True
        assert list(await store.runs()) == ["r"]


async def test_a_run_keeps_what_it_had_when_its_store_fails(path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with contextlib.ExitStack() as stack:

        async def lock() -> str:
            stack.enter_context(locked(path))
            return "locked"

        agent = ReactAgent([lock], model=ScriptedModel([call("lock"), "done"]))
        with pytest.raises(StoreError, match="database is locked") as caught:
            await agent.run("go", run_id="r", store=SQLiteStore(path))
    assert caught.value.result.messages
    assert threads() == []


FILLER = """
from tinyagent.core.shared import holding
from tinyagent.errors import StoreError
async def main(path):
    store, done, failed = SQLiteStore(path), [], []
    async def fill(number):
        for place in range(1000):
            if failed:
                break
            try:
                assert await store.put("r", f"{number}/{place}", "x" * 3000)
                done.append(f"{number}/{place}")
            except StoreError as error:
                failed.append(str(error))
    async with holding():
        fill_up()
        await asyncio.gather(*map(fill, range(5)))
        set_free()
        assert await store.put("r", "after", "text")
        await store.put("r", done[0], "another")
        assert {*done, "after"} <= {*await store.load("r")}
    print(len(done) > 5, failed[0])
"""


@unix
def test_a_file_that_may_not_grow(path):
    limits = """
import resource
def fill_up():
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
def set_free():
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""
    said = outcome(limits + FILLER, path)
    assert said.startswith(f"True The store '{path}' failed: OperationalError: disk I/O error. Look after its disk")
    contents(path)


@unix
def test_a_full_disk(path, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "none", disk]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    ballast = """
from pathlib import Path
ballast = Path(sys.argv[1]).with_name("ballast")
def fill_up():
    ballast.write_bytes(bytes(200_000))
def set_free():
    ballast.unlink()
"""
    try:
        said = outcome(ballast + FILLER, disk / "agents.db")
        assert "agents.db' failed: OperationalError: database or disk is full. Free some space" in said
        contents(disk / "agents.db")
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(("safe", "synchronous"), [(False, 1), (True, 2)])
def test_what_is_safe_waits_for_the_disk(path, safe, synchronous):
    with contextlib.closing(module._opened(str(path), safe=safe)) as file:
        assert file.execute("PRAGMA synchronous").fetchone() == (synchronous,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
