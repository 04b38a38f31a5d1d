"""A toolkit with a pool of database connections, opened and closed with the agent; several runs share it.

python examples/database_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import json
import queue
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tinyagent import ReactAgent, Toolkit, tool
from tinyagent.testing import ScriptedRequest, call, model_or_script

SAMPLE = """
CREATE TABLE orders (country TEXT, product TEXT, pieces INTEGER, price REAL);
INSERT INTO orders VALUES
    ('Norway', 'skis', 40, 250.0), ('Norway', 'tents', 25, 180.0), ('Norway', 'skis', 10, 250.0),
    ('Italy', 'skis', 12, 250.0), ('Italy', 'bicycles', 30, 600.0), ('Kenya', 'tents', 55, 180.0);
"""
#: What a model may do: read. SQLite asks for each step of a statement before it is run.
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class Database(Toolkit):
    """Read-only queries on a SQLite file. Tools that are not async run in threads: each takes a connection."""

    def __init__(self, path: Path, connections: int = 3) -> None:
        self.path, self.size = path, connections
        self.pool: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()

    async def open(self) -> None:
        """Called once, before the first of all runs that share it."""
        for _ in range(self.size):
            connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            connection.set_authorizer(lambda step, *_: sqlite3.SQLITE_OK if step in READING else sqlite3.SQLITE_DENY)
            self.pool.put(connection)
        print(f"opened {self.size} connections")

    async def close(self) -> None:
        """Called once, after the last."""
        for _ in range(self.size):
            (await asyncio.to_thread(self.pool.get)).close()
        print(f"closed {self.size} connections")

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        connection = self.pool.get()  # waits while all are in use
        latest = time.monotonic() + 10  # so that no statement, however foolish, keeps it
        connection.set_progress_handler(lambda: time.monotonic() > latest, 10_000)
        try:
            yield connection
        finally:
            self.pool.put(connection)

    @tool(read_only=True)
    def schema(self) -> str:
        """The tables of the database, as SQL."""
        with self.connection() as connection:
            return "\n".join(sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL"))

    @tool(read_only=True)
    def query(self, sql: str, parameters: list[str | int | float | None] | None = None) -> list[dict]:
        """Run one SELECT statement; returns at most 100 rows.

        Args:
            sql: The statement (SQLite), with ? for each value.
            parameters: The values, in order.
        """
        with self.connection() as connection:
            cursor = connection.execute(sql, parameters or [])
            names = [name for name, *_ in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(100)]


BEST = "SELECT product, SUM(pieces) AS sold FROM orders WHERE country = ? GROUP BY product ORDER BY sold DESC LIMIT 1"


def offline(request: ScriptedRequest):
    """The scripted model asks for the schema, then queries, then answers from the row."""
    country = request.messages[0]["content"].split()[-1].rstrip("?")
    match [message["content"] for message in request.messages if message["role"] == "tool"]:
        case []:
            return call("schema")
        case [_]:
            return call("query", sql=BEST, parameters=[country])
        case [_, rows]:
            (row,) = json.loads(rows)
            return f"In {country} {row['product']} sold best: {row['sold']} pieces."


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(SAMPLE)
        async with (
            model_or_script(offline, delay=0.01) as model,
            ReactAgent(tools=[Database(path)], model=model) as agent,  # opens the toolkit, once
        ):
            questions = [f"Which product sold best in {country}?" for country in ("Norway", "Italy", "Kenya")]
            for answer in await asyncio.gather(*map(agent.run, questions)):
                print(f"  {answer}")
            try:  # without a model, and what a model would be told
                await agent.execute_tool("query", sql="DELETE FROM orders")
            except sqlite3.DatabaseError as error:
                print(f"  DELETE: {error}")


asyncio.run(main())
