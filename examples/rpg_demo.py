"""A game master: instructions from a file, dice, a toolkit that keeps the hero, a conversation over several turns.

python examples/rpg_demo.py

On a terminal you play, and an empty line ends the game; otherwise three turns are played for you.
Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import contextlib
import json
import random
import sys
from pathlib import Path

from tinyagent import ReactAgent, TextDelta, TextVoided, ToolFinished, Toolkit, tool
from tinyagent.testing import ScriptedRequest, call, model_or_script

GAME_MASTER = Path(__file__).parent / "prompts" / "game_master.prompt"
PLAYED = ["I look around.", "I sneak past the sleeping troll.", "I take the silver key and run."]
DICE = random.Random(4)  # noqa: S311 - a game that goes the same way each time


@tool
async def roll(sides: int = 20) -> int:
    """Roll one die."""
    return DICE.randint(1, sides)


class Hero(Toolkit):
    """The hero: state that outlives the turns, and the tools that change it."""

    def __init__(self) -> None:
        self.health = 12
        self.bag = ["torch", "rope"]

    @tool(read_only=True)
    async def sheet(self) -> dict:
        """The hero's health, 0 to 12, and what the hero carries."""
        return {"health": self.health, "bag": self.bag}

    @tool
    async def change_health(self, points: int) -> int:
        """Hurt the hero (negative points) or heal; returns the health left."""
        self.health = max(0, min(12, self.health + points))
        return self.health

    @tool
    async def take(self, item: str) -> list[str]:
        """Put something into the hero's bag; returns all that is in it."""
        self.bag.append(item)
        return self.bag


def offline(request: ScriptedRequest):
    """The scripted game master. It sees the whole conversation; what came since the player spoke is this turn."""
    last = max(i for i, message in enumerate(request.messages) if message["role"] == "user")
    said = request.messages[last]["content"].lower()
    seen = [json.loads(message["content"]) for message in request.messages[last:] if message["role"] == "tool"]
    match said, seen:
        case _, [] if "look" in said:
            return call("sheet")
        case _, [] if "key" in said:
            return call("take", item="silver key")
        case _, []:
            return call("roll", sides=20)
        case _, [dict() as sheet]:
            return f"By the light of your {sheet['bag'][0]} you see a troll, asleep, and a key around its neck."
        case _, [list() as bag]:
            return f"The key is yours, with your {' and '.join(bag[:-1])}. Daylight ahead: you have won!"
        case _, [int() as rolled] if rolled < 12:
            return call("change_health", points=-3)
        case _, [int() as rolled]:
            return f"{{d20: {rolled}}} Not a sound. The key is within reach."
        case _, [rolled, health]:
            return f"{{d20: {rolled}}} A stone rolls, the troll's arm hits you: {health} health left. It sleeps on."


async def turns():
    """What the player says: typed on a terminal, else the turns to watch."""
    if sys.stdin.isatty():
        with contextlib.suppress(EOFError):
            while turn := await asyncio.to_thread(input, "\n> "):
                yield turn
    else:
        for turn in PLAYED:
            print(f"\n> {turn}")
            yield turn


async def main() -> None:
    hero = Hero()
    async with (
        model_or_script(offline, delay=0.005) as model,
        ReactAgent(tools=[roll, hero], model=model, prompt_file=GAME_MASTER) as game_master,
    ):
        messages = ()
        async for turn in turns():
            async with game_master.stream(turn, messages=messages) as run:
                async for event in run:
                    match event:
                        case TextDelta(text):
                            print(text, end="", flush=True)
                        case TextVoided():  # the reply failed; it comes again
                            print("\n↶ once more:")
                        case ToolFinished(seen):
                            print(f"  [{seen.call.name}: {seen.text}]")
            print()
            messages = run.result.messages  # the next turn goes on from here
    print(f"\n{len(messages)} messages. The hero has {hero.health} health and carries: {', '.join(hero.bag)}.")


asyncio.run(main())
