"""Prompts from files: text, Markdown, few-shot prompts and XML; a template; what a wrong path says.

python examples/file_prompt_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
from pathlib import Path
from string import Template

from tinyagent import ConfigurationError, ReactAgent
from tinyagent.testing import ScriptedRequest, model_or_script

PROMPTS = Path(__file__).parent / "prompts"
REVIEW = "We waited for an hour, but the dumplings were worth it."

# Only a string.Template has placeholders: $name, filled from metadata= (or deps=) of each run.
REPLY = Template('You answer reviews for $restaurant. Use the form {"to": "the guest", "text": "..."} in $language.')


def offline(request: ScriptedRequest):
    """The scripted model does what its instructions say: it rates the review, or answers it in German."""
    in_german = "in German" in request.messages[0]["content"]
    return '{"to": "the guest", "text": "Danke, bis bald!"}' if in_german else '{"stars": 4, "why": "slow, good"}'


async def main() -> None:
    async with model_or_script(offline) as model:
        for path in sorted(PROMPTS.glob("critic.*")):
            critic = ReactAgent(model=model, prompt_file=path)  # read once, here
            form = next(line.strip() for line in critic.instructions.splitlines() if "{" in line)
            print(f"{path.name:14} {form}")  # braces in a file are just braces
            print(f"{'':14} → {await critic.run(REVIEW)}")

        host = ReactAgent(model=model, instructions=REPLY)
        answer = await host.run(REVIEW, metadata={"restaurant": "The Dumpling", "language": "German"})
        print(f"template       → {answer}")
        try:
            await host.run(REVIEW, metadata={"restaurant": "The Dumpling"})
        except ConfigurationError as error:
            print(f"no value       ✗ {error}")
        try:
            ReactAgent(model=model, prompt_file="prompts/critik.txt")
        except ConfigurationError as error:
            print(f"no such file   ✗ {error}")


asyncio.run(main())
