"""Reading a web page through the Jina reader: by hand, and by an agent that reads it part by part.

python examples/jina_reader_demo.py

Runs offline against a scripted server and a local endpoint that answers as Jina does; with OPENAI_API_KEY or
OPENAI_BASE_URL set it asks that model, and reads through https://r.jina.ai (JINA_API_KEY is optional).
"""

import asyncio
import contextlib
import re

from local_pages import local_pages

from tinyagent import JinaReader, ReactAgent, ToolFinished, jina_reader, printable
from tinyagent.testing import ScriptedRequest, call, model_or_script, online

URL = "https://www.rfc-editor.org/rfc/rfc2324.txt"
TEXT = """\
## Hyper Text Coffee Pot Control Protocol (HTCPCP/1.0)

There is coffee all over the world. Increasingly, in a world in which computing is ubiquitous, the computists want to
make coffee.

### 2.3.2 418 I'm a teapot

Any attempt to brew coffee with a teapot should result in the error code "418 I'm a teapot".
"""


def answer(path: str, host: str) -> dict:  # noqa: ARG001
    """What the Jina reader says of the page whose URL is the path."""
    return {"code": 200, "data": {"title": "RFC 2324", "url": path.removeprefix("/"), "content": TEXT}}


def offline(request: ScriptedRequest):
    """The scripted model reads on until it has found the answer."""
    parts = [message["content"] for message in request.messages if message["role"] == "tool"]
    if parts and (found := re.search(r"### .* (\d{3}) ", parts[-1])):
        return f"A teapot that is told to brew coffee answers {found[1]}."
    start = re.findall(r"start=(\d+)", parts[-1])[0] if parts else 0
    return call("jina_reader", url=URL, start=int(start), max_chars=160)


@contextlib.asynccontextmanager
async def reader():
    """The tool: with its settings from the environment, or, offline, for the local endpoint."""
    if online():
        yield jina_reader
        return
    async with local_pages(answer) as host:
        yield JinaReader(url=f"http://{host}").jina_reader


async def main() -> None:
    async with model_or_script(offline) as model, reader() as read:
        page = await read(URL, max_chars=60)  # a tool is still a function
        print(printable(f"{page.title or page.url}, {page.total} characters: {page.text.strip()}"))

        agent = ReactAgent(tools=[read], model=model)
        async with agent.stream(f"Which status does a teapot answer with, according to {URL}?") as run:
            async for event in run:
                if isinstance(event, ToolFinished):
                    seen = event.observation
                    print(seen.error or f"read {seen.value.start} to {seen.value.end} of {seen.value.total} characters")
    print(printable(str(run.result)))


asyncio.run(main())
