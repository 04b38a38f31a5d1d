"""The messages of a conversation, and the conversation itself: append-only, each message encoded once."""

from __future__ import annotations

import hashlib
import json
import random
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import brief, fields_shown, to_data
from tinyagent.core.limits import Usage

#: What the model reads in place of an answer to a call that has none.
NOT_ANSWERED = "This call was not finished: the run ended before it returned."


#: Characters of a call's id, and how many it has: the strictest servers take nine letters and digits, and no other id.
ALPHANUMERIC = string.ascii_letters + string.digits
ID_LENGTH = 9
_random = random.SystemRandom()  # a program that seeds `random` would repeat ids


def new_call_id() -> str:
    """Return a random id for a call that came without one."""
    return "".join(_random.choices(ALPHANUMERIC, k=ID_LENGTH))


def derived_id(text: str) -> str:
    """Return an id for a call, made of a text: always the same for the same text."""
    number, letters = int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest()), ""
    for _ in range(ID_LENGTH):
        number, place = divmod(number, len(ALPHANUMERIC))
        letters += ALPHANUMERIC[place]
    return letters


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call of the model.

    Attributes:
        name: The tool's name, as the model wrote it.
        arguments: The parsed arguments; empty when they could not be read.
        id: The call's id; made where the server sent none.
        raw: The JSON text of the arguments as it is replayed to the server: always a JSON object.
        problem: Why the call cannot run (arguments that are not JSON, a reply cut by the token limit), in
            words for the model; `None` when it can.
        extra: Keys that only the server that sent the call knows, such as a thought signature; sent back to it alone.
            Keys inside the call's `function` are a dict under `function`.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_call_id)
    raw: str = ""
    problem: str | None = None
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    __repr__ = fields_shown

    def __post_init__(self) -> None:
        if not self.raw:
            object.__setattr__(self, "raw", json.dumps(to_data(self.arguments), ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class System:
    """Instructions to the model; comes first.

    Attributes:
        text: The text of the instructions.
        agent: The name of the agent whose instructions they are; empty for those that were passed in `messages=`.
    """

    text: str
    role: Literal["system"] = "system"
    agent: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A message of the person to the model, or of the loop in the person's place."""

    text: str
    role: Literal["user"] = "user"


@dataclass(frozen=True, slots=True)
class Assistant:
    """A message of the model: text, tool calls, or both.

    Attributes:
        text: The text, without reasoning.
        calls: The tool calls, in the model's order.
        reasoning: The reasoning text, kept apart from the answer.
        reasoning_field: Where the server put the reasoning: `reasoning_content`, `reasoning`, or the tag of a block in
            the text (`think` for `<think>`, `[THINK]`, ...). From these it is sent back in the same way, from other
            places not at all.
        origin: The server that sent the message; reasoning and `extra` are sent back to no other.
        extra: Keys that only that server knows, such as `reasoning_details`; sent back to it.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    reasoning_field: str = ""
    origin: str = ""
    role: Literal["assistant"] = "assistant"
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ToolReply:
    """The answer to one call, as the model reads it.

    Attributes:
        call_id: The id of the call.
        text: What the tool gave, or what went wrong.
        name: The tool's name; empty where it is not known.
    """

    call_id: str
    text: str
    name: str = ""
    role: Literal["tool"] = "tool"


#: Any message of a conversation.
Message: TypeAlias = System | User | Assistant | ToolReply


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a model: what a `Model` returns.

    Attributes:
        text: The text, without reasoning.
        calls: The tool calls.
        reasoning: The reasoning text, kept apart from the answer.
        reasoning_field: Where the server put the reasoning; see `Assistant.reasoning_field` for the names.
        finish_reason: Why the model stopped, as the server sent it: `stop`, `length`, `tool_calls`, ...; else `None`.
        usage: The tokens of this call, where the server counted them.
        origin: The server that sent the reply.
        extra: Keys that only that server knows, such as `reasoning_details`; sent back to it.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    reasoning: str = ""
    reasoning_field: str = ""
    finish_reason: str | None = "stop"
    usage: Usage = field(default_factory=Usage)
    origin: str = ""
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    def message(self) -> Assistant:
        """Return the reply as a message of the conversation."""
        return Assistant(self.text, self.calls, self.reasoning, self.reasoning_field, self.origin, extra=self.extra)

    def with_own_ids(self) -> Reply:
        """Return the reply with new ids for calls that share one: always the same ids for the same reply."""
        if len({call.id for call in self.calls}) == len(self.calls):
            return self
        taken: set[str] = set()
        calls: list[Call] = []
        for place, call in enumerate(self.calls):
            calls.append(replace(call, id=derived_id(f"{call.id} {place}")) if call.id in taken else call)
            taken.add(call.id)
        return replace(self, calls=tuple(calls))


class Conversation:
    """The messages of one run: append-only but for the instructions, and valid for every server whenever it is sent.

    Each call is answered exactly once, right after its assistant message. Encoded bytes are kept for each
    message, so that the cost of a request does not grow with the conversation.
    """

    __slots__ = ("_encoded", "_messages", "_open")

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._messages: list[Message] = []
        self._encoded: dict[Callable[[Message], bytes], list[bytes]] = {}
        self._open: dict[str, Call] = {}
        for message in messages:
            if not isinstance(message, System | User | Assistant | ToolReply):
                raise ConfigurationError(
                    f"{brief(message)} in messages= is no message. Pass those of an earlier result "
                    "(result.messages), or System, User, Assistant and ToolReply objects."
                )
            if self._open and not isinstance(message, ToolReply):
                self.close()
            self.append(message)
        self.close()

    def append(self, message: Message) -> None:
        """Add a message.

        Raises:
            ConfigurationError: The message would make a history that servers reject: an answer without its call,
                anything else before every call is answered, or a system message that does not come first.
        """
        if isinstance(message, ToolReply):
            if self._open.pop(message.call_id, None) is None:
                raise ConfigurationError(
                    f"The history answers a call {message.call_id!r} that is not open. Pass the messages of an "
                    "earlier result unchanged (result.messages)."
                )
        elif self._open:
            raise ConfigurationError(f"The calls {sorted(self._open)} must be answered first.")
        elif isinstance(message, System) and self._messages:
            raise ConfigurationError("A System message comes first, or not at all.")
        elif isinstance(message, Assistant):
            if not (message.text.strip() or message.calls):
                return  # no server accepts an empty assistant message
            self._open = {call.id: call for call in message.calls}
        self._messages.append(message)

    def instruct(self, text: str, agent: str = "") -> None:
        """Begin the conversation with the instructions of an agent, in place of any that are there.

        With an empty text, instructions that were passed in `messages=` stay, and those of an agent go.
        """
        first = self._messages[0] if self._messages else None
        has_some = isinstance(first, System)
        if text or (isinstance(first, System) and first.agent):
            self._messages[:has_some] = [System(text, agent=agent)] if text else []
            self._encoded.clear()

    def close(self, text: str = NOT_ANSWERED) -> None:
        """Answer every call that has no answer yet with `text`, so that the history is valid."""
        for call in list(self._open.values()):
            self.append(ToolReply(call.id, text, call.name))

    @property
    def open_calls(self) -> tuple[Call, ...]:
        """Calls of the last assistant message that have no answer yet."""
        return tuple(self._open.values())

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages of the conversation so far."""
        return tuple(self._messages)

    def encoded(self, encode: Callable[[Message], bytes]) -> Sequence[bytes]:
        """Return each message as `encode` writes it; what a function has encoded once is kept."""
        done = self._encoded.setdefault(encode, [])
        done.extend(encode(message) for message in self._messages[len(done) :])
        return done

    def __iter__(self) -> Iterator[Message]:
        return iter(tuple(self._messages))

    def __len__(self) -> int:
        return len(self._messages)
