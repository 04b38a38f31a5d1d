"""Agents that work together: a plan, two agents called as tools at the same time, a handoff to a third.

python examples/team_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import re

from tinyagent import InnerEvent, Planning, ReactAgent, ToolFinished, tool
from tinyagent.events import HandedOver, RunFinished
from tinyagent.testing import ScriptedRequest, call, model_or_script
from tinyagent.tools import Plan


@tool
async def forecast(city: str, day: str) -> str:
    """The weather in a city on a day of this week."""
    await asyncio.sleep(0.2)  # as long as a service would take
    return "rain" if (city, day) == ("Ghent", "Saturday") else "sunny"


def offline(request: ScriptedRequest):
    """What each of the scripted agents says; it knows which one it is by its instructions."""
    who = request.messages[0]["content"]
    asked = next(message["content"] for message in request.messages if message["role"] == "user")
    results = [message["content"] for message in request.messages if message["role"] == "tool"]
    if "know the weather" in who:
        day = re.findall(r"\w+day", asked)[0]
        return f"{results[0]} on {day}" if results else call("forecast", city="Ghent", day=day)
    if "book trains" in who:
        return "You leave for Ghent on Sunday at 9:14, when the sun is out."
    if not results:
        return call("create_plan", goal="A dry day in Ghent", steps=["Ask for the weather", "Book the train"])
    if len(results) == 1:
        return [call("weather_agent", task=f"Ghent on {day}?") for day in ("Saturday", "Sunday")]
    if len(results) == 3:
        return call("update_plan", step=1, note=", ".join(results[1:]))
    return call("transfer_to_booking_agent")


async def main() -> None:
    async with model_or_script(offline) as model:
        weather = ReactAgent(
            tools=[forecast],
            model=model,
            name="weather agent",
            description="Tells the weather in a city on a day.",
            instructions="You know the weather. Answer in a few words.",
        )
        booking = ReactAgent(
            model=model,
            name="booking agent",
            description="Books trains.",
            instructions="You book trains: say which one the traveller takes.",
        )
        guide = ReactAgent(
            tools=[Planning(), weather],  # an agent among the tools is called with a task; so is weather.as_tool(...)
            handoffs=[booking],
            model=model,
            name="guide",
            instructions="Make a plan, ask for the weather of both days in one turn, then hand over to book the train.",
        )
        async with guide.stream("I want to see Ghent this weekend, on the dry day.") as run:
            async for event in run:
                match event:
                    case InnerEvent(path, ToolFinished(seen)):  # of a run inside this one, with the way to it
                        print(f"  {' > '.join(path).partition(':')[0]} > {seen.call.name}: {seen.text}")
                    case ToolFinished(seen) if isinstance(seen.value, Plan):
                        print(seen.value)
                    case ToolFinished(seen):
                        print(f"← {seen.call.name}: {seen.text}")
                    case HandedOver(agent):
                        print(f"→ {agent}")
                    case RunFinished(result):  # the usage of all of them adds up
                        print(f"{result}\n({result.info.agent}, {result.usage.requests} model calls in all)")


asyncio.run(main())
