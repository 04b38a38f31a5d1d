"""Calls that stand in the text, in a model's own marks, because its server does not know them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tinyagent.core.messages import Call
from tinyagent.core.tool import Tool
from tinyagent.models.objects import FIRST_KEYS, Offered, is_scratchpad, read_value, unreadable
from tinyagent.models.spellings import Broken, Spelled, spelled_at

#: What calls begin with, but where it is quoted: see `spellings` for whose marks these are.
_MARK = re.compile(
    r"(?<!`)(?:"
    r"<\|?(?:\w{1,20}:)?tool_calls?\|?>"
    r"|<[|\uff5c]tool[\u2581_]calls?(?:[\u2581_]section)?[\u2581_](?:begin|start)[|\uff5c]>"
    r"|<[|\uff5c]+DSML[|\uff5c]"
    r"|<(?:\w{1,20}:)?(?:function=|function_calls?>|(?:function|invoke)\s+name=)"
    r"|<TOOLCALL>|\[TOOL_CALLS\]|<\|python_tag\|>|<\|(?:start|channel)\|>"
    r")"
)
_SEARCHED = re.compile(rf"{_MARK.pattern}|</think>")
#: What stands between marks and calls.
_BETWEEN = re.compile(
    r"\s+|[;,]+|```\w*|\[/?TOOL_CALLS\]"
    r"|</?(?:\w{1,20}:)?(?:tool_calls?|function_calls?|TOOLCALL|function|invoke)>"
    r"|</?[|\uff5c]+DSML[|\uff5c]+\s?(?:\w+|invoke)>"
    r"|function<[|\uff5c]tool[\u2581_]sep[|\uff5c]>(?=\s*[\w-]+\s)"
    r"|<[|\uff5c](?!(?:start|channel)\||[|\uff5c]*DSML)[^<>\n]{1,60}>"
)
_CLOSING = re.compile(
    r"</(?:\w{1,20}:)?tool_call>|<[|\uff5c]tool[\u2581_]calls?(?:[\u2581_]section)?[\u2581_]end[|\uff5c]>"
)
_FIRST_WORD = re.compile(r"(?:functions\.)?([\w-]+)")
_WORD = re.compile(r"[\w-]+")
#: A call that the token limit has cut before it was named.
_HALF = re.compile(r"[\s\[{]*(?:[\"']?\w*[\"']?[\s:]*[\"']?[\w.]*)?(?:<[^<>]*)?\Z")
#: Characters in which a call that cannot be read must end to be one.
_LONGEST_CALL = 10_000
#: What may become a mark, or tells that the next is quoted.
_BEGUN = re.compile(r"`?[<\[][^<>\[\]\n`]{0,40}\Z|`\Z")
#: How a text begins that may be objects and nothing else; and the parts of it that tell.
_OBJECT = re.compile(r"(?:```\w{0,12}\s*|`{1,2}\Z)?(\[\s*)?(?:\{\s*(?:[\"'](\w*)([\"'])?)?)?")
_BEGINS = re.compile(r"(?:\[\s*)?\{|\[\s*[\w.]+\(")
_PYTHON = re.compile(r"([\w.]*)(\(?)")
_FENCE = re.compile(r"```\w*\s*")
_JOINTS = re.compile(r"(?:[\s;,}\]]|```\w*)*+")
#: Characters after which a beginning must have told what it is, or with which the token limit has cut a name.
_LONGEST_BEGINNING = 200
#: Marks behind which nothing can be read; with more, the text is no call, and looking on would take ever longer.
_MOST_FAILURES = 20
_MOST_CALLS = 1_000


class Found(NamedTuple):
    """What was found in a text.

    Attributes:
        text: What stands before the calls; all of it, if there are none.
        calls: The calls, with a problem each where one cannot be read.
        thoughts: The text is an object of thoughts and nothing else: these.
    """

    text: str
    calls: tuple[Call, ...] = ()
    thoughts: str = ""


def offered_by_name(tools: Iterable[Tool[..., object]]) -> Offered:
    """Return the tools by name."""
    return {tool.name: tool for tool in tools}


class MarkSplitter:
    """Holds text back from the first mark on, and text that may be an object which calls something.

    Args:
        tools: The tools on offer; only their names count.
        begun: Text that is no object has come already.
    """

    __slots__ = ("_held", "_state", "_tail", "_tools")

    def __init__(self, tools: Iterable[Tool[..., object]], *, begun: bool = False) -> None:
        self._tools = tools
        self._state = "text" if begun else "start"
        self._tail = ""
        self._held: list[str] = []

    def split(self, text: str) -> str:
        """Return the text that is certain to be text."""
        if self._state == "held":
            self._held.append(text)
            return ""
        if self._state == "text" and not self._tail and "<" not in text and "[" not in text and "`" not in text:
            return text
        text, self._tail = self._tail + text, ""
        shown: list[str] = []
        position = 0
        while True:
            if self._state == "start":
                beginning = text[position : position + _LONGEST_BEGINNING].lstrip()
                may_call = _may_call(beginning, self._tools)
                if may_call is None and len(text) - position < _LONGEST_BEGINNING:
                    self._tail = text[position:]
                    break
                if may_call:
                    self._hold(text[position:])
                    break
                self._state = "text"
            mark = _SEARCHED.search(text, position)
            if mark is None:
                begun = _BEGUN.search(text, max(position, len(text) - 50))
                end = begun.start() if begun else len(text)
                shown.append(text[position:end])
                self._tail = text[end:]
                break
            if mark[0] == "</think>":  # what follows is a text of its own
                shown.append(text[position : mark.end()])
                position, self._state = mark.end(), "start"
                continue
            blank = not text[position : mark.start()].strip() and not shown
            shown.append("" if blank else text[position : mark.start()])
            self._hold(text[position if blank else mark.start() :])
            break
        return "".join(shown)

    def _hold(self, text: str) -> None:
        self._state = "held"
        self._held.append(text)

    def rest(self) -> str:
        """Return what was held back when the reply ended."""
        held = "".join([*self._held, self._tail])
        self._held, self._tail = [], ""
        return held


def _may_call(head: str, tools: Iterable[Tool[..., object]]) -> bool | None:
    """Whether a text that begins so may be objects that call something; `None` while that is open."""
    if not head:
        return None
    if head[0] not in "{[`":
        return False
    begun = _OBJECT.match(head)
    assert begun is not None  # noqa: S101 - it matches anything
    rest = head[begun.end() :]
    if begun[3]:
        return begun[2] in FIRST_KEYS
    if rest and begun[1] and "{" not in begun[0] and (python := _PYTHON.match(rest)) and python[1]:
        if python[2]:
            return any(tool.name == python[1] for tool in tools)
        rest = rest[python.end() :]
    return False if rest else None


def read_calls(text: str, tools: Iterable[Tool[..., object]], *, cut: bool = False) -> Found:
    """Read the calls in a text: it is objects that call tools on offer, or holds calls in a model's own marks.

    Args:
        text: The text, without thoughts.
        tools: The tools on offer; only their names count.
        cut: The token limit has cut the text.
    """
    if "{" not in text and "[" not in text and "<" not in text:
        return Found(text)
    offered = offered_by_name(tools)
    return _read_objects(text, offered, cut=cut) or read_marked(text, offered, cut=cut)


def _read_objects(text: str, offered: Offered, *, cut: bool) -> Found | None:
    """What is in a text of objects and nothing else."""
    body = text.strip()
    if fence := _FENCE.match(body):
        body = body[fence.end() :].removesuffix("```").rstrip()
    calls: list[Call] = []
    thoughts: list[str] = []
    position = 0
    while position < len(body) and len(calls) + len(thoughts) < _MOST_CALLS:
        if _BEGINS.match(body, position) is None:
            return None
        spelled = spelled_at(body, position, offered, fresh=False, cut=cut)
        if isinstance(spelled, Broken):
            calls.append(unreadable(spelled.name, spelled.problem, cut=cut))
            break
        if spelled:
            calls += spelled.calls
            end = spelled.end
        else:
            try:
                value, end = read_value(body, position)
            except ValueError:
                return None
            if not is_scratchpad(value):
                return None
            thoughts += map(str, value.values())
        joint = _JOINTS.match(body, end)
        position = joint.end() if joint else end
    if thoughts and not calls:
        return Found(text, thoughts="\n".join(thoughts))
    return Found("", tuple(calls), "\n".join(thoughts)) if any(call.name in offered for call in calls) else None


def read_marked(text: str, offered: Offered, *, cut: bool) -> Found:
    """Read the calls behind marks in a text; what else stands there is dropped if there are any."""
    calls: list[Call] = []
    begin = position = failures = 0
    while failures < _MOST_FAILURES and len(calls) < _MOST_CALLS and (mark := _MARK.search(text, position)):
        found, end = _behind(text, mark, offered, cut=cut)
        if not calls and found:
            begin = mark.start()
        failures += not any(call.problem is None for call in found)
        calls += found
        position = max(end, mark.end())
    if any(call.name in offered for call in calls):
        return Found(text[:begin], tuple(calls))
    return Found(text)


def _behind(text: str, mark: re.Match[str], offered: Offered, *, cut: bool) -> tuple[list[Call], int]:
    """The calls behind a mark, one after the other, and where they end."""
    calls: list[Call] = []
    position, fresh = mark.start(), True
    while True:
        while between := _BETWEEN.match(text, position):
            fresh = fresh or _MARK.match(text, position) is not None
            position = between.end()
        spelled = spelled_at(text, position, offered, fresh=fresh, cut=cut)
        if not isinstance(spelled, Spelled):
            break
        calls += spelled.calls
        position, fresh = spelled.end, False
    if isinstance(spelled, Broken):
        last = cut and _MARK.search(text, max(spelled.end, position) + 1) is None
        calls.append(unreadable(spelled.name, spelled.problem, cut=last))
        position = max(position, spelled.end)
    elif not calls and (told := _told(text, position, offered, cut=cut)):
        calls.append(told)
    return calls, position


def _told(text: str, start: int, offered: Offered, *, cut: bool) -> Call | None:
    """What the model is told of what stands behind a mark and has no form that is known."""
    first = _FIRST_WORD.match(text, start)
    if first and first[1] in offered and text[start - 1 : start] != " ":
        return unreadable(first[1], "it does not go on in a form that is known", cut=cut)
    if cut and len(text) - start < _LONGEST_BEGINNING and _HALF.match(text, start):
        return unreadable(next(iter(offered)), "", cut=True)
    closing = _CLOSING.search(text, start, start + _LONGEST_CALL)
    words = _WORD.finditer(text, start, closing.start()) if closing else ()
    name = next((word[0] for word in words if word[0] in offered), None)
    return unreadable(name, "it has no form that is known") if name else None
