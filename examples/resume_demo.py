"""A long job whose process is killed in the middle: the next one takes it up, and does nothing twice.

python examples/resume_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from tinyagent import ReactAgent, SQLiteStore, resume_all, tool
from tinyagent.testing import ScriptedRequest, call, model_or_script

PAGES = 8


@tool
async def translate(page: int) -> str:
    """Translate a page of the book, and send it to the printer."""
    print(f"  page {page}", flush=True)
    await asyncio.sleep(0.1)
    return f"page {page} is translated"


def offline(request: ScriptedRequest):
    """The scripted model has the pages translated one after the other."""
    done = sum(message["role"] == "tool" for message in request.messages)
    return call("translate", page=done + 1) if done < PAGES else f"All {done} pages are translated."


async def work(path: str, *, begin: bool) -> None:
    """What the program does whenever it starts: first it takes up what an earlier process has left."""
    store = SQLiteStore(path)
    async with model_or_script(offline) as model:
        agent = ReactAgent([translate], model=model, name="translator", store=store)
        for taken_up in await resume_all(store, {agent.name: agent}):
            steps = taken_up.result.steps if taken_up.result else ()
            print(f"{taken_up.task!r} was taken up: {taken_up.result or taken_up.error} ({len(steps)} steps)")
        if begin:
            print(await agent.run(f"Translate the {PAGES} pages of the book, one after the other.", run_id="the-book"))


def main() -> None:
    if len(sys.argv) > 1:
        asyncio.run(work(sys.argv[1], begin=True))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "agents.db"))
        with subprocess.Popen([sys.executable, __file__, path], stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                if "page 5" in line:
                    process.kill()  # as kill -9 does: nothing is cleaned up, nothing said
                    print("  (killed)", flush=True)
                    break
        asyncio.run(work(path, begin=False))


main()
