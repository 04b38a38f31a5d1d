"""Mending of a conversation that was made of parts of others: what no server would take is changed, and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tinyagent.core.messages import NOT_ANSWERED, Assistant, Message, Reply, System, ToolReply, User

#: What the model reads of an answer without its call. It becomes a message of the user, because a made-up call would
#: have wrong arguments, and lack the signature that some servers want.
ALONE = "A tool{name} was called earlier and gave:\n{text}"


def mended(messages: Iterable[Message]) -> tuple[list[Message], str]:
    """Return the messages as every server takes them, and what was changed, in words for a person.

    Calls are followed by their answers, in the order of the calls: an answer that comes late is moved there, one that
    comes again is left out, and one that is missing is made up. An answer without its call becomes a message of the
    user. So does a system message that does not come first, but instructions of an agent are left out there, because
    the agent that goes on has its own. The second value is empty where nothing was changed, or only the order.
    """
    whole: list[Message] = []
    places: dict[str, list[int]] = {}  # by call id: where the answers to the last calls with that id are
    made_up: set[int] = set()
    told: Counter[str] = Counter()
    for message in messages:
        match message:
            case ToolReply(call_id, text):
                known = places.get(call_id, [])
                place = next((place for place in known if whole[place].text == NOT_ANSWERED), None)
                if place is not None:
                    whole[place] = _answer(whole[place], message)
                    made_up.discard(place)
                elif all(whole[place].text != text for place in known):
                    whole.append(User(ALONE.format(name=f" ({message.name})" if message.name else "", text=text)))
                    told["an answer without its call is a message of the user now"] += 1
            case System() if whole:
                if not message.agent and message != whole[0]:
                    whole.append(User(message.text))
                    told["a system message that does not come first is one of the user now"] += 1
            case Assistant() if message.calls:
                asks = _with_own_ids(message)
                whole.append(asks)
                for call in message.calls:
                    places[call.id] = []
                for call, own in zip(message.calls, asks.calls, strict=True):
                    places[call.id].append(len(whole))
                    made_up.add(len(whole))
                    whole.append(ToolReply(own.id, NOT_ANSWERED, own.name))
            case _:
                whole.append(message)
    told["a call without an answer is told that it has none"] += len(made_up)
    return whole, "; ".join(f"{what} ({count} times)" if count > 1 else what for what, count in told.items() if count)


def _with_own_ids(message: Assistant) -> Assistant:
    if len(message.calls) == 1:
        return message
    calls = Reply(calls=message.calls).with_own_ids().calls
    return message if calls is message.calls else replace(message, calls=calls)


def _answer(made_up: Message, given: ToolReply) -> ToolReply:
    """Return the given answer with the call's id, and its name if it has none, to stand in place of a made-up one."""
    assert isinstance(made_up, ToolReply)  # noqa: S101 - only answers are at these places
    if given.call_id == made_up.call_id and (given.name or not made_up.name):
        return given
    return replace(given, call_id=made_up.call_id, name=given.name or made_up.name)
