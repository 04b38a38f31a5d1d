"""What Jupyter shows of a result: markdown, in which nothing that a model wrote can run.

Jupyter trusts what a cell has just shown: raw HTML in markdown runs its scripts, links to `javascript:` work, and a `"`
inside of math can end an attribute, because math is put back into the finished HTML. So the text of a model is written
with entities where it could become any of that. Code, in which entities are not read, is written as HTML made here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tinyagent.core.jsonable import to_data
from tinyagent.core.text import printable

if TYPE_CHECKING:
    from tinyagent.core.result import RunResult, State

_SAID: dict[State, str] = {
    "running": "The run is not over.",
    "cut": "The token limit cut the answer.",
    "step_limit_reached": "The steps were used up; asked for an answer, the model wrote this.",
    "failed": "The run failed.",
    "cancelled": "The run was cancelled.",
}
_ALIVE = re.compile(
    r"<(?=[A-Za-z/!?])"  # a tag
    r'|"'
    r"|!(?=\[)"  # an image: its server learns that it was seen, and whatever its address holds
    r"|\](?=\s*[(:])(?!\s*[(:]\s*(?:https?://|mailto:|#))"  # a link to anything but a page
)
_MATH = re.compile(r"\$|\\\\[(\[]|\\begin")
#: Blocks and spans of code. Its quantifiers are possessive, so that the time is in proportion to the text.
_CODE = re.compile(
    r"^(?P<indent>[ \t]*+)(?P<fence>`{3,}+|~{3,}+)[ \t]*+(?P<language>[\w+#.-]*+)[^`\n]*+\n"
    r"(?P<block>.*?)(?:^[ \t]*+(?P=fence)[`~]*+[ \t]*+$|\Z)"
    r"|(?<!`)(?P<ticks>`++)(?P<inline>[^`\n]++)(?P=ticks)(?!`)",
    re.DOTALL | re.MULTILINE,
)


def result_markdown(result: RunResult[Any]) -> str:
    """Return a result as markdown: how the run ended, its answer, its steps, tokens and seconds."""
    output, steps = result.output, len(result.steps)
    if isinstance(output, str):
        answer = safe_markdown(output)
    else:
        data = printable(json.dumps(to_data(output), indent=2, ensure_ascii=False))
        answer = "" if output is None else _block("", "```", "json", f"{data}\n")
    took = f"{steps} step{'s' * (steps != 1)} · {result.usage.total_tokens:,} tokens · {result.info.seconds:.1f} s"
    said = f"**{_SAID[result.state]}**" if result.state in _SAID else ""
    return "\n\n".join(part for part in (said, answer.strip("\n"), f"*{took}*") if part)


def safe_markdown(text: str) -> str:
    """Return markdown that renders as `text` does, without HTML, images, and links to anything but pages."""
    text, parts, end = printable(text), [], 0
    for found in _CODE.finditer(text):
        parts.append(_prose(text[end : found.start()]))
        if found["inline"] is not None:
            code = found["inline"]
            parts.append(found[0] if _prose(code) == code else f"<code>{_entities(code)}</code>")
        else:
            parts.append(_block(found["indent"], found["fence"], found["language"], found["block"]))
        end = found.end()
    return "".join((*parts, _prose(text[end:])))


def _prose(text: str) -> str:
    return _ALIVE.sub(lambda found: f"&#{ord(found[0])};", text)


def _block(indent: str, fence: str, language: str, code: str) -> str:
    """Return a block of code as markdown, which keeps its colours, or, where that could do harm as prose, as HTML.

    The blank lines around the block end math that began before it.
    """
    code = code if code.endswith("\n") else f"{code}\n"
    if _prose(code).replace("&#34;", '"') == code and not _MATH.search(code):
        return f"\n\n{indent}{fence}{language}\n{code}{indent}{fence}\n\n"
    code = re.sub(f"^[ \t]{{0,{len(indent)}}}", "", code, flags=re.MULTILINE)
    return f"\n\n{indent}<pre><code>{_entities(code)}</code></pre>\n\n"


def _entities(code: str) -> str:
    return re.sub(r"[^0-9A-Za-z \t\x80-\U0010ffff]", lambda found: f"&#{ord(found[0])};", code)
