"""The store on disk: the records of runs in one SQLite file, which several processes may use at once."""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from tinyagent.core.claims import Claims
from tinyagent.core.errors import ConfigurationError, StoreError, StoreFormatError
from tinyagent.core.jsonable import brief, error_text
from tinyagent.core.shared import PerLoop, keep_open
from tinyagent.core.store import REDACTED

T = TypeVar("T")

#: A text as SQLite can hold it: as bytes where it has surrogates that stand alone.
_Cell: TypeAlias = str | bytes
#: What a caller waits for: its future, and what is called with the file and further arguments.
_Work: TypeAlias = tuple[asyncio.Future[Any], Callable[..., Any], tuple[_Cell | None, ...]]

#: Seconds to wait for another process that keeps the file locked.
PATIENCE = 10.0
#: What tells the file from those of other programs: "tiny".
_OWNER = 0x74696E79
#: The statements that make a file of each format out of one of the format before, the first out of an empty file.
_STEPS = [
    [
        f"PRAGMA application_id={_OWNER}",
        "CREATE TABLE runs(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
        (
            "CREATE TABLE records(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, "
            "UNIQUE(run, key))"
        ),
    ]
]
#: What to do about an error of SQLite, by its code.
_CURES = {
    sqlite3.SQLITE_FULL: "Free some space on its disk, then go on.",
    sqlite3.SQLITE_IOERR: "Look after its disk (space, quota, limits of file sizes, hardware), then go on.",
    sqlite3.SQLITE_BUSY: f"Others have kept it locked for {PATIENCE:g} s: end what holds it, or try again.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable for this user.",
    sqlite3.SQLITE_CANTOPEN: "Its folder must be there, and both be writable for this user.",
    sqlite3.SQLITE_CORRUPT: "It is damaged: bring back a copy, or save with `sqlite3 FILE .recover` what can be read.",
    sqlite3.SQLITE_NOTADB: "It is no store: pass another path.",
}
#: Guards the set of the connections. It is held over a fork.
_lock = threading.Lock()
_connections: set[_Connection] = set()


class SQLiteStore:
    """A store in one SQLite file, for runs that outlive their process; several processes may use the file at once.

    What `put` has answered is there however the process ends. The file must be on a disk of this machine. It is opened
    when a run first needs it, and closed when the run ends. One object serves any number of runs, event loops and
    threads. Every method may raise a `StoreError`, which names the file and says what to do; once that is done, the
    object works again.

    Args:
        path: The file; it is made where there is none, its folder is not. `<path>-wal` and `<path>-shm` belong to it
            while it is open; in `<path>-claims` is locked who works on which run.
        safe: Whether what was answered survives the loss of power too. Each record then waits for the disk. Otherwise
            the last records may be missing after that, and those before are whole.
        redact: Takes a text before it is written, and returns it without its secrets. It is called on the event loop.
            A text that it has changed is never replayed: a run that would need it ends with a `ReplayError`.

    Raises:
        ConfigurationError: `path` is not the path of a file, or `redact` cannot be called.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, safe: bool = False, redact: Callable[[str], str] | None = None
    ) -> None:
        if redact is not None and not callable(redact):
            raise ConfigurationError(f"redact={brief(redact)}: pass a function that takes a text and returns one.")
        self._path = _checked(path)
        self._redact = redact
        self._claims = Claims(self._path)
        self._open = PerLoop(lambda: _Connection(self._path, safe=safe))

    async def load(self, run: str) -> Mapping[str, str]:
        """Return the records of a run, by key, in the order in which they came."""
        return await self._do(_load, _cell(run))

    async def put(self, run: str, key: str, text: str) -> bool:
        """Record a text under a key of a run; return `False` where the key has a text already.

        When the caller is cancelled, the text may be written all the same.
        """
        return await self._do(_put, _cell(run), _cell(key), _cell(self._redacted(key, text)))

    async def runs(self, without: str | None = None) -> Sequence[str]:
        """Return the names of all runs; `without` leaves out those with a record under `<run>/<without>`."""
        return await self._do(_runs, without if without is None else _cell(without))

    async def delete(self, run: str) -> None:
        """Delete every record of a run."""
        await self._do(_delete, _cell(run))

    @asynccontextmanager
    async def claim(self, run: str) -> AsyncIterator[bool]:
        """Hold a run; give `False` where someone else holds it."""
        mine, process = self._claims.take(run), os.getpid()
        try:
            yield mine
        finally:
            if mine and process == os.getpid():  # a forked copy inherits no claims
                self._claims.give(run)

    async def _do(self, function: Callable[..., T], *args: _Cell | None) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        opened = self._open.here()
        await keep_open(opened)
        async with opened as connection:
            connection.waiting.put((future, function, args))
            return await future

    def _redacted(self, key: str, text: str) -> str:
        if self._redact is None:
            return text
        try:
            redacted: object = self._redact(text)
            if not isinstance(redacted, str):
                raise TypeError(f"it gave {type(redacted).__name__}, and no text")
        except Exception as error:
            said = f"The store {self._path!r} has not recorded {key!r}: redact= failed: {error_text(error)}"
            raise StoreError(said) from error
        return text if redacted == text else REDACTED + redacted


class _Connection:
    """A thread that has the file open for the users of one event loop. All that waits goes into one commit.

    After an error, and for a fork, the file is closed, and opened again for the next work.
    """

    def __init__(self, path: str, *, safe: bool) -> None:
        self.waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self.lock = threading.Lock()  # held while the file is used
        self._path = path
        self._safe = safe
        self._file: sqlite3.Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="tinyagent store", daemon=True)

    async def __aenter__(self) -> _Connection:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.waiting.put(None)  # behind all that waits
        await self._ended.wait()
        self._thread.join()

    def close(self) -> None:
        """Close the file, and so roll back what is not committed; whoever calls this holds the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _live(self) -> None:
        with _lock:
            _connections.add(self)
        while self._serve():
            pass
        with self.lock:
            self.close()
        with _lock:
            _connections.discard(self)
        self._tell(self._ended.set)

    def _serve(self) -> bool:
        """Do all that waits; return whether more may come."""
        taken = [self.waiting.get()]
        while not self.waiting.empty():
            taken.append(self.waiting.get())
        works = [work for work in taken if work is not None]
        with self.lock:
            try:
                outcome: list[Any] | Exception = self._commit(works) if works else []
            except Exception as error:  # noqa: BLE001 - raised where the work is awaited
                outcome = error
                self.close()
        self._tell(_settle, works, outcome, self._path)
        return None not in taken

    def _commit(self, works: list[_Work]) -> list[Any]:
        if self._file is None:
            self._file = _opened(self._path, safe=self._safe)
        self._file.execute("BEGIN IMMEDIATE")
        results = [function(self._file, *args) for _, function, args in works]
        self._file.execute("COMMIT")
        return results

    def _tell(self, function: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the event loop has closed: nobody waits
            self._loop.call_soon_threadsafe(function, *args)


def _settle(works: list[_Work], outcome: list[Any] | Exception, path: str) -> None:
    for number, (future, _, _) in enumerate(works):
        if future.done():  # whoever waited was cancelled
            continue
        if isinstance(outcome, Exception):
            future.set_exception(_store_error(outcome, path))
        else:
            future.set_result(outcome[number])


def _store_error(error: Exception, path: str) -> StoreError:
    """Return an error for one caller alone: a run that it ends puts its result there."""
    said = f"The store {path!r} failed: {error_text(error)}. {_CURES.get(_code(error), '')}".rstrip()
    told = type(error)(str(error)) if isinstance(error, StoreError) else StoreError(said)
    told.__cause__ = error
    return told


def _code(error: BaseException) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the bits that tell kinds of one error apart


# ---- the file


def _opened(path: str, *, safe: bool) -> sqlite3.Connection:
    """Open the file, and make of it what this version reads."""
    until = time.monotonic() + PATIENCE
    while True:
        file = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            file.execute("BEGIN IMMEDIATE")
            _migrate(file, path)
            file.execute("COMMIT")
            file.execute("PRAGMA journal_mode=WAL")  # which does not wait for writers by itself
            file.execute(f"PRAGMA synchronous={'FULL' if safe else 'NORMAL'}")
            file.execute("PRAGMA wal_autocheckpoint=4000")  # 16 MB: rarer than by default, as it waits for the disk
            return file
        except BaseException as error:
            file.close()
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)


def _migrate(file: sqlite3.Connection, path: str) -> None:
    version, owner = (file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id"))
    if owner != _OWNER and file.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StoreError(f"The file {path!r} is the database of another program: pass another path.")
    if not 0 <= version <= len(_STEPS):
        raise StoreFormatError(
            f"The store {path!r} has the format {version}, and this version of tinyagent knows those up to "
            f"{len(_STEPS)}: update tinyagent, or pass another path."
        )
    for statement in itertools.chain(*_STEPS[version:]):
        file.execute(statement)
    if version < len(_STEPS):
        file.execute(f"PRAGMA user_version={len(_STEPS)}")


def _load(file: sqlite3.Connection, run: _Cell) -> dict[str, str]:
    sought = "SELECT key, text FROM records WHERE run = (SELECT id FROM runs WHERE name = ?) ORDER BY id"
    return {_text(key): _text(text) for key, text in file.execute(sought, (run,))}


def _put(file: sqlite3.Connection, run: _Cell, key: _Cell, text: _Cell) -> bool:
    insert = "INSERT OR IGNORE INTO records(run, key, text) SELECT id, ?, ? FROM runs WHERE name = ?"
    done = file.execute(insert, (key, text, run)).rowcount
    if not done and file.execute("INSERT OR IGNORE INTO runs(name) VALUES (?)", (run,)).rowcount:  # its first record
        done = file.execute(insert, (key, text, run)).rowcount
    return done == 1


def _runs(file: sqlite3.Connection, without: _Cell | None) -> list[str]:
    key = "name || '/' || :without"  # NULL, which no key is, where nothing is left out
    key = f"CASE WHEN typeof(name) = 'text' AND typeof(:without) = 'text' THEN {key} ELSE CAST({key} AS BLOB) END"
    left_out = f"SELECT 1 FROM records WHERE run = runs.id AND key = {key}"  # noqa: S608 - nothing from outside
    sought = f"SELECT name FROM runs WHERE NOT EXISTS ({left_out}) ORDER BY id"  # noqa: S608
    return [_text(name) for (name,) in file.execute(sought, {"without": without})]


def _delete(file: sqlite3.Connection, run: _Cell) -> None:
    file.execute("DELETE FROM records WHERE run = (SELECT id FROM runs WHERE name = ?)", (run,))
    file.execute("DELETE FROM runs WHERE name = ?", (run,))


def _cell(text: str) -> _Cell:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
    return text


def _text(cell: _Cell) -> str:
    return cell if isinstance(cell, str) else cell.decode(errors="surrogatepass")


def _checked(path: object) -> str:
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or name.startswith((":memory:", "file:")) or "\0" in name or Path(name).is_dir():
        raise ConfigurationError(
            f"SQLiteStore({brief(path)}): pass the path of a file, such as 'agents.db', and not of a folder. For "
            "records in memory there is MemoryStore()."
        )
    return os.path.realpath(name)


# ---- forks


def _before_fork() -> None:
    """Close the file: the copy inherits SQLite's tables of the locks of this process, which must then be empty."""
    _lock.acquire()
    for connection in _connections:
        connection.lock.acquire()
        connection.close()


def _after_fork() -> None:
    for connection in _connections:
        connection.lock.release()
    _lock.release()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
