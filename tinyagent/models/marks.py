"""Calls that stand in the text, in a model's own marks, because its server does not know them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from tinyagent.core.messages import Call
from tinyagent.core.tool import Tool
from tinyagent.models.objects import FIRST_KEYS, Offered, is_scratchpad, read_value, unreadable
from tinyagent.models.spellings import Broken, Spelled, spelled_at

#: The marks that calls begin with, except where they are quoted; `spellings` says whose marks these are.
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
#: A call that the token limit has cut before the tool was named.
_HALF = re.compile(r"[\s\[{]*(?:[\"']?\w*[\"']?[\s:]*[\"']?[\w.]*)?(?:<[^<>]*)?\Z")
#: Characters within which a call that cannot be read must end: otherwise it is text.
_LONGEST_CALL = 10_000
#: An end of text that may become a mark, or that quotes the mark which follows.
_BEGUN = re.compile(r"`?[<\[][^<>\[\]\n`]{0,40}\Z|`\Z")
#: The beginning of a text that may be objects and nothing else, and the parts of it that tell.
_OBJECT = re.compile(r"(?:```\w{0,12}\s*|`{1,2}\Z)?(\[\s*)?(?:\{\s*(?:[\"'](\w*)([\"'])?)?)?")
_BEGINS = re.compile(r"(?:\[\s*)?\{|\[\s*[\w.]+\(")
_PYTHON = re.compile(r"([\w.]*)(\(?)")
_FENCE = re.compile(r"```\w*\s*")
_JOINTS = re.compile(r"(?:[\s;,}\]]|```\w*)*+")
#: Characters within which a text must tell whether it is objects; and of a call that was cut before it was named.
_LONGEST_BEGINNING = 200
#: Marks behind which nothing could be read, before the reading ends: the text is no call, and more would take long.
_MOST_FAILURES = 20
_MOST_CALLS = 1_000


class Found(NamedTuple):
    """The calls that were found in a text, and the rest of it.

    Attributes:
        text: The text before the calls; the whole text, if there are none.
        calls: The calls; one that cannot be read has a problem.
        thoughts: The thoughts in JSON objects that hold nothing else, where the text consists of objects.
    """

    text: str
    calls: tuple[Call, ...] = ()
    thoughts: str = ""


def offered_by_name(tools: Iterable[Tool[..., object]]) -> Offered:
    """Return the tools on offer by name."""
    return {tool.name: tool for tool in tools}


class MarkSplitter:
    """A filter of streamed text: holds it back from the first mark on, or all of it while it may be objects that call.

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
        """Add a piece of text; return as much of the text so far as is certain to hold no calls."""
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
            if mark[0] == "</think>":  # behind it a text of its own begins
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
        """Return the text that is held back, at the end of the reply."""
        held = "".join([*self._held, self._tail])
        self._held, self._tail = [], ""
        return held


def _may_call(head: str, tools: Iterable[Tool[..., object]]) -> bool | None:
    """Return whether a text with this beginning may be objects that call something; `None` while that is open."""
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
    """Read the calls in a text that consists of objects which call tools, or holds calls in a model's own marks.

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
    """Return the calls and thoughts in a text that consists of objects; `None` for any other text."""
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
    """Read the calls behind marks in a text; where there are calls, the text from the first mark on is dropped."""
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
    """Return the calls behind a mark, one after the other, and where they end."""
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
    """Return a call with a problem for a tool that is named behind a mark in no known form; `None` if none is named."""
    first = _FIRST_WORD.match(text, start)
    if first and first[1] in offered and text[start - 1 : start] != " ":
        return unreadable(first[1], "it does not go on in a form that is known", cut=cut)
    if cut and len(text) - start < _LONGEST_BEGINNING and _HALF.match(text, start):
        return unreadable(next(iter(offered)), "", cut=True)
    closing = _CLOSING.search(text, start, start + _LONGEST_CALL)
    words = _WORD.finditer(text, start, closing.start()) if closing else ()
    name = next((word[0] for word in words if word[0] in offered), None)
    return unreadable(name, "it has no form that is known") if name else None
