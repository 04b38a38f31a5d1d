"""`ScriptedModel`: a model that says what it was told to, for tests and demos."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tinyagent.core.limits import Usage
from tinyagent.core.messages import Reply
from tinyagent.models.base import ModelRequest, Sink
from tinyagent.testing.script import Item, Script, as_reply


class ScriptedModel:
    """A model that gives scripted replies, offline and at once.

        model = ScriptedModel([call("add", a=2, b=3), "The sum is 5."])

    Used as a context manager (`with ScriptedModel([...]) as model:`) it fails when replies are left over.

    Args:
        replies: A list of replies: text, `call(...)`, lists of calls, `Reply`s, exceptions to raise, functions of
            the request. Or one function from the `ModelRequest` to a reply, for runs that go on at the same time.
        delay: Seconds before each reply, and between its words when it is streamed.
        name: The model's name in records.

    Attributes:
        requests: Every request, in order, with the conversation as it was.
    """

    def __init__(
        self, replies: Iterable[Item] | Callable[..., Any], *, delay: float = 0.0, name: str = "scripted"
    ) -> None:
        self.name = name
        self.requests: list[ModelRequest] = []
        self._script = Script(replies)
        self._delay = delay

    def __repr__(self) -> str:
        return f"ScriptedModel({self._script.used} replies used)"

    async def __call__(self, request: ModelRequest, sink: Sink) -> Reply:
        """Return the next reply, and pass its words and calls to the sink.

        Raises:
            ScriptError: The script is used up.
            BaseException: The script's next item, if that is an exception.
        """
        self.requests.append(request.snapshot())
        item = await self._script.next(request)
        await asyncio.sleep(self._delay)
        if isinstance(item, BaseException):
            raise item
        reply = as_reply(item)
        if reply.reasoning:
            sink.reasoning(reply.reasoning)
        for word in re.findall(r"\s*\S+\s*", reply.text) if request.stream else [reply.text][: bool(reply.text)]:
            sink.text(word)
            if request.stream and self._delay:
                await asyncio.sleep(self._delay)
        for call in reply.calls:
            sink.call(call)
        return reply if reply.usage.requests else replace(reply, usage=Usage(requests=1))

    def assert_all_used(self) -> None:
        """Raise an error when replies are left over.

        Raises:
            AssertionError: Replies are left over; the text names the first of them.
        """
        self._script.assert_all_used()

    def __enter__(self) -> ScriptedModel:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.assert_all_used()
