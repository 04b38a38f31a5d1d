"""A store on disk, and a program that runs an agent with it and may be killed in the middle of a block.

    python -m tests.agents.disk_store FOLDER CODE DIE_AT

The program prints its result as JSON. `FOLDER/calls` gets a line for each call that is really made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from tests.agents.kinds import block, children
from tinyagent import RunError, User
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.sandbox import zygote
from tinyagent.testing import ScriptedModel


class DiskStore:
    """A store in one file, a line for each record; what is written is on the disk."""

    def __init__(self, path):
        self.path = Path(path)
        self.known = {}
        self.made = []
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                key, _, written = line.partition(" ")
                self.known[key] = json.loads(written)

    async def load(self, run):
        return {key: text for key, text in self.known.items() if key.startswith(f"{run}/")}

    async def put(self, run, key, text):
        if key in self.known:
            return False
        self.made.append(key)
        self.known[key] = text
        with self.path.open("a") as file:
            file.write(f"{key} {json.dumps(text)}\n")
            file.flush()
            os.fsync(file.fileno())
        return True

    async def runs(self, without=None):
        names = dict.fromkeys(key.partition("/")[0] for key in self.known)
        return [name for name in names if f"{name}/{without}" not in self.known]

    async def delete(self, run):
        raise NotImplementedError

    @contextlib.asynccontextmanager
    async def claim(self, run):
        yield True

    def recorded(self, prefix):
        return [key for key in self.known if key.startswith(prefix)]


async def main(folder, code, die_at):
    """Run the code; die when it fetches `die_at`, after all other calls of its gather are on the disk."""
    folder = Path(folder)
    store = DiskStore(folder / "journal")

    async def fetch(name: str) -> str:
        """Fetch something."""
        with (folder / "calls").open("a") as file:
            file.write(name + "\n")
        if name == die_at:
            while name == "b" and not any(
                "fetch" in key and json.loads(store.known[key].splitlines()[0]).get("text") == "C"
                for key in store.known
            ):
                await asyncio.sleep(0.001)
            mine = [each._process.pid for each in zygote._zygotes]
            (folder / "processes").write_text(json.dumps(mine + children()))
            os.kill(os.getpid(), signal.SIGKILL)
        return name.upper()

    def say(request):
        with (folder / "calls").open("a") as file:
            file.write("model\n")
        blocks = code.split("\n---\n")
        return block(blocks[sum(isinstance(message, User) for message in request.messages) - 1])

    agent = TinyCodeAgent([fetch], model=ScriptedModel(say))
    try:
        result = await agent.run("Go.", run_id="run-1", store=store)
    except RunError as error:
        print(json.dumps({"error": type(error).__name__, "said": str(error)}))
    else:
        print(json.dumps({"output": result.output}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
