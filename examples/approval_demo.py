"""Ask before acting: refunds wait for a person, in a file, while the process ends; another process goes on.

python examples/approval_demo.py

On a terminal you decide; otherwise it is decided for you: up to 100 euros are allowed.
Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from tinyagent import Allow, Deny, ReactAgent, SQLiteStore, ask_before, printable, tool
from tinyagent.stores import recorded_runs
from tinyagent.testing import ScriptedRequest, call, model_or_script


@tool(read_only=True)
async def customer(order: int) -> str:
    """Who has placed an order."""
    return {17: "customer 4711", 23: "customer 5022"}.get(order, "unknown")


@tool
async def refund(order: int, euros: int) -> str:
    """Pay an order back."""
    print(f"  (paying {euros} euros)")
    return f"order {order}: {euros} euros are on their way"


def offline(request: ScriptedRequest):
    """The scripted model makes three calls at once, then says what came of them."""
    seen = [message["content"] for message in request.messages if message["role"] == "tool"]
    if not seen:
        return [call("customer", order=17), call("refund", order=17, euros=20), call("refund", order=23, euros=900)]
    return f"For {seen[0]}, {seen[1]}. The other one was not paid: {seen[2].rpartition('Error: ')[2]}"


def agent_of(model, path: str) -> ReactAgent:
    return ReactAgent([customer, refund], model=model, store=SQLiteStore(path), policy=ask_before("refund"))


async def ask(path: str) -> None:
    """What the first process does: it runs until there is nothing left to do but to wait."""
    async with model_or_script(offline) as model:
        result = await agent_of(model, path).run(
            "Refund 20 euros for order 17 and 900 for order 23. Who had the first?"
        )
    print(f"{result.state}: {len(result.pending)} calls wait. {result.output or ''}", flush=True)
    for step in result.steps:
        for seen in step.observations:  # what may be done is done meanwhile
            print(f"  {seen.call.name}: {seen.text}", flush=True)


async def decide(path: str) -> None:
    """What the second process does, in a minute or in a week: it knows nothing but the file."""
    async with model_or_script(offline) as model:
        agent = agent_of(model, path)
        for run in await recorded_runs(agent.store, unfinished=True):
            waiting = await agent.resume(run.run_id)  # without decisions it says what waits, and asks no model
            decisions = {}
            for each in waiting.pending:
                print(printable(f"  {each.prompt} {each.tool}({dict(each.arguments)})"), flush=True)
                if sys.stdin.isatty():
                    may = await asyncio.to_thread(input, "  [y/N] ") == "y"
                else:
                    may = each.arguments["euros"] <= 100
                    print(f"  {'yes' if may else 'no'}", flush=True)
                decisions[each.id] = Allow() if may else Deny("too much for one day.")
            print(await agent.resume(run.run_id, decisions))


def main() -> None:
    if len(sys.argv) > 2:
        asyncio.run({"ask": ask, "decide": decide}[sys.argv[1]](sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for what in ("ask", "decide"):
            here = None if sys.stdout.isatty() else subprocess.PIPE
            command = [sys.executable, __file__, what, str(Path(folder, "agents.db"))]
            print(subprocess.run(command, stdout=here, text=True, check=True).stdout or "", end="")


main()
