"""`tinyagent demo`: an agent answers a question in several steps, live; with `--code` by writing Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from tinyagent.agents.code import TinyCodeAgent
from tinyagent.agents.react import ReactAgent
from tinyagent.cli.local import llamacpp_server, smollm2
from tinyagent.cli.show import Terminal
from tinyagent.core.limits import Limits
from tinyagent.core.messages import Reply
from tinyagent.core.text import printable
from tinyagent.core.tool import Tool
from tinyagent.models.openai import OpenAIModel
from tinyagent.testing.loopback import ScriptedRequest
from tinyagent.testing.offline import model_or_script, online
from tinyagent.testing.script import Item, call

if TYPE_CHECKING:
    from pathlib import Path

    from tinyagent.core.result import RunResult

QUESTION = "How much warmer is Rome than Oslo today, in Fahrenheit degrees?"
INSTRUCTIONS = "Use the tools for every fact and every calculation. Answer in one or two sentences."
CELSIUS = {"oslo": 4.0, "rome": 18.5, "lima": 19.0, "cairo": 27.0}


async def weather(city: str) -> dict[str, Any]:
    """Today's temperature in a city.

    Args:
        city: Name in English: Oslo, Rome, Lima or Cairo.
    """
    await asyncio.sleep(0.4)  # as long as a web service would take
    if city.lower() not in CELSIUS:
        raise LookupError(f"no weather for {city!r}; there is {', '.join(CELSIUS)}")
    return {"city": city, "celsius": CELSIUS[city.lower()]}


def to_fahrenheit(celsius_difference: float) -> float:
    """Convert a difference of temperatures from Celsius to Fahrenheit degrees.

    Args:
        celsius_difference: The difference in Celsius degrees.
    """
    time.sleep(0.1)  # a synchronous tool: it runs in a thread
    return round(celsius_difference * 9 / 5, 2)


def script(request: ScriptedRequest) -> Item:
    """Return what the scripted model says next: two calls at once, a call that builds on them, then the answer."""
    results = [message["content"] for message in request.messages if message["role"] == "tool"]
    if not results:
        calls = (call("weather", city="Rome"), call("weather", city="Oslo"))
        return Reply("Let me look up both cities.", calls, finish_reason="tool_calls")
    if len(results) == 2:
        return call("to_fahrenheit", celsius_difference=CELSIUS["rome"] - CELSIUS["oslo"])
    return f"Rome is {results[-1]} Fahrenheit degrees warmer than Oslo today (18.5 °C against 4 °C)."


def code_script(request: ScriptedRequest) -> Item:
    """Return what the scripted model writes next: code with a mistake for both cities, its repair, then the answer."""
    reports = [message["content"] for message in request.messages if message["role"] == "user"][1:]
    if not reports:
        return CODE_BOTH
    return CODE_REPAIR if "KeyError" in reports[-1] else CODE_ANSWER


CODE_BOTH = """\
I need both cities; they can be asked at the same time.

```python
rome, oslo = await asyncio.gather(weather("Rome"), weather("Oslo"))
print("Rome", rome["celsius"], "Oslo", oslo["celsius"])
difference = rome["temperature"] - oslo["temperature"]
```"""
CODE_REPAIR = """\
The field is called celsius; the two readings are still there.

```python
difference = to_fahrenheit(rome["celsius"] - oslo["celsius"])
difference
```"""
CODE_ANSWER = """\
```python
readings = f"{rome['celsius']} °C against {oslo['celsius']} °C"
final_answer(f"Rome is {difference} Fahrenheit degrees warmer than Oslo today ({readings}).")
```"""


LOCAL = """\
Local: SmolLM2 runs in a process on this machine. With 135 million parameters it understands little, and what it answers
is rarely true."""
HELD = " But as each reply is held to the form of a call or an answer, it does call the tool."
LOCAL_QUESTION = "Look up the weather in Oslo."
#: A tiny model repeats itself, so each reply has a limit of tokens, and the run one of steps.
LOCAL_TOKENS, LOCAL_STEPS = 200, 2


async def known_weather(city: Literal["Oslo", "Rome", "Lima", "Cairo"]) -> dict[str, Any]:
    """Today's temperature in a city."""
    return await weather(city)


async def demo(
    question: str | None, model: str, terminal: Terminal, *, code: bool = False, local: bool = False
) -> RunResult[Any]:
    """Run the demo with the environment's model, a local model, or offline with a scripted server; return its result.

    Raises:
        ConfigurationError: The local model is not installed.
    """
    tools: list[Tool[..., Any]] = [Tool(weather), Tool(to_fahrenheit)]
    kind = TinyCodeAgent if code else ReactAgent
    if local:
        file = smollm2()
        print(LOCAL + ("" if code else HELD), flush=True)
        async with _local(file) as found:
            tools, limits = [Tool(known_weather, name="weather")], Limits(steps=LOCAL_STEPS)
            agent = kind(tools, model=found, instructions=INSTRUCTIONS, limits=limits)
            return await _show(agent, question or LOCAL_QUESTION, terminal)
    async with model_or_script(code_script if code else script, model=model, delay=0.03) as found:
        if question is not None and not online():
            print(f"It can only answer its own question, not {question!r}.")
            question = None
        return await _show(kind(tools, model=found, instructions=INSTRUCTIONS), question or QUESTION, terminal)


async def _show(agent: ReactAgent | TinyCodeAgent, question: str, terminal: Terminal) -> RunResult[Any]:
    print(f"\n{printable(question)}\n", flush=True)
    return await terminal.show(agent.stream(question))


@asynccontextmanager
async def _local(file: Path) -> AsyncIterator[OpenAIModel]:
    """Serve a GGUF file on this machine, and yield its model, whose replies are held to a call or an answer."""
    with llamacpp_server(file) as url:
        async with OpenAIModel(
            file.stem, base_url=url, tool_calling="schema", temperature=0, max_tokens=LOCAL_TOKENS
        ) as model:
            yield model
