"""A journal on disk, and a program that runs an agent with it and may be killed in the middle of a block.

    python -m tests.agents.journal FOLDER CODE DIE_AT

The program prints its result as JSON. `FOLDER/calls` gets a line for each call that is really made.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pickle
import signal
import sys
from pathlib import Path

from tests.agents.kinds import block, children
from tinyagent import RunError, User
from tinyagent.agents.code import TinyCodeAgent
from tinyagent.sandbox import zygote
from tinyagent.testing import ScriptedModel


class DiskJournal:
    """Effects that remember what was done and what failed, in a file, one line for each."""

    def __init__(self, path):
        self.path = Path(path)
        self.known = {}
        self.made = []
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                key, _, written = line.partition(" ")
                self.known[key] = pickle.loads(base64.b64decode(written))

    def recorded(self, prefix):
        return [key for key in self.known if key.startswith(prefix)]

    async def step(self, key, call):
        if key not in self.known:
            self.made.append(key)
            try:
                outcome = (await call(), None)
            except RunError:  # the end of a run is no answer
                raise
            except Exception as error:
                outcome = (None, error)
            self.write(key, outcome)
        value, error = self.known[key]
        if error is not None:
            raise error
        return value

    def write(self, key, outcome):
        """Remember an outcome, and make sure that it is on the disk."""
        self.known[key] = outcome
        with self.path.open("a") as file:
            file.write(f"{key} {base64.b64encode(pickle.dumps(outcome)).decode()}\n")
            file.flush()
            os.fsync(file.fileno())


async def main(folder, code, die_at):
    """Run the code; die when it fetches `die_at`, after all other calls of its gather are on the disk."""
    folder = Path(folder)
    journal = DiskJournal(folder / "journal")

    async def fetch(name: str) -> str:
        """Fetch something."""
        with (folder / "calls").open("a") as file:
            file.write(name + "\n")
        if name == die_at:
            while name == "b" and not any("fetch" in key and journal.known[key][0] == "C" for key in journal.known):
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
        result = await agent.run("Go.", run_id="run-1", effects=journal)
    except RunError as error:
        print(json.dumps({"error": type(error).__name__, "said": str(error)}))
    else:
        print(json.dumps({"output": result.output}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
