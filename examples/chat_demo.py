"""A conversation that survives `kill -9`: each message is in the file as soon as it is said.

python examples/chat_demo.py                    # what is said is said for you, and the process killed in the middle
python examples/chat_demo.py chat agents.db     # chat yourself; an empty line ends it, and the next time goes on

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tinyagent import ReactAgent, SQLiteStore, TextDelta, ToolStarted, tool
from tinyagent.stores import Conversations
from tinyagent.testing import ScriptedRequest, call, model_or_script


@tool
async def stock(tea: str) -> str:
    """How much there is of a tea; the warehouse takes its time."""
    await asyncio.sleep(60 if tea == "oolong" else 0)
    return f"12 tins of {tea}"


def offline(request: ScriptedRequest):
    """The scripted model has a tea looked up that is named, and remembers what was said first."""
    first = next(message["content"] for message in request.messages if message["role"] == "user")
    last = request.messages[-1]
    if last["role"] == "tool":
        return f"There are {last['content']}."
    tea = last["content"].partition("much ")[2].partition(" ")[0]
    return call("stock", tea=tea) if tea else f"You said: {first} (message {len(request.messages)})"


async def chat(path: str, said: Iterable[str]) -> None:
    """Talk, each time where the session was left."""
    store = SQLiteStore(path)
    async with model_or_script(offline) as model, ReactAgent([stock], model=model, store=store) as agent:
        for text in said:
            print(f"> {text}", flush=True)
            async with agent.stream(text, session="ada") as run:
                async for event in run:
                    match event:
                        case TextDelta(piece):
                            print(piece, end="", flush=True)
                        case ToolStarted(made):
                            print(f"  [{made.name}({made.raw})]", flush=True)
            print(flush=True)
        print(f"  {[message.role for message in await Conversations(store).messages('ada')]}", flush=True)


def typed() -> Iterable[str]:
    while text := input("\nYou: "):
        yield text


def say(path: str, *said: str, until: str = "") -> None:
    """Chat in a process of its own; kill it as soon as it has printed some text."""
    command = [sys.executable, __file__, "chat", path, *said]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="")
            if until and until in line:
                process.kill()  # as kill -9 does, and as a loss of memory or a reboot would
                print("  (killed)")
                break


def main() -> None:
    if len(sys.argv) > 2:
        asyncio.run(chat(sys.argv[2], sys.argv[3:] or typed()))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "agents.db"))
        say(path, "I like tea.", "How much sencha is left?", "How much oolong is left?", until='oolong"')
        say(path, "What did I say first?")


main()
