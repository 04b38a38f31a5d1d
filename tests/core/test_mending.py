"""Conversations made of parts of others: what no server would take is mended, and told."""

import pytest

from tinyagent.core.mending import mended
from tinyagent.core.messages import NOT_ANSWERED, Assistant, Call, Conversation, System, ToolReply, User

A, B = Call("add", {"a": 1}, id="A"), Call("look", {"b": 2}, id="B")
ASKS = Assistant("I will.", (A, B))
ONE, TWO = ToolReply("A", "1", "add"), ToolReply("B", "2", "look")
WHOLE = [System("Be brief."), User("Add."), ASKS, ONE, TWO, Assistant("3")]
ALONE = "an answer without its call is a message of the user now"
UNANSWERED = "a call without an answer is told that it has none"
MIDDLE = "a system message that does not come first is one of the user now"


def test_a_valid_conversation_stays_as_it_is():
    whole, told = mended(WHOLE)
    assert whole == WHOLE
    assert all(left is right for left, right in zip(whole, WHOLE, strict=True))
    assert told == ""
    assert mended([]) == ([], "")
    assert mended(iter(WHOLE)) == (WHOLE, "")


@pytest.mark.parametrize(
    ("messages", "expected", "told"),
    [
        ([TWO, Assistant("3")], [User("A tool (look) was called earlier and gave:\n2"), Assistant("3")], ALONE),
        ([ToolReply("B", "2")], [User("A tool was called earlier and gave:\n2")], ALONE),
        ([ASKS, ONE], [ASKS, ONE, ToolReply("B", NOT_ANSWERED, "look")], UNANSWERED),
        ([ASKS, ONE, User("And?")], [ASKS, ONE, ToolReply("B", NOT_ANSWERED, "look"), User("And?")], UNANSWERED),
        ([ASKS], [ASKS, *(ToolReply(call.id, NOT_ANSWERED, call.name) for call in (A, B))], f"{UNANSWERED} (2 times)"),
        ([ASKS, TWO, ONE], [ASKS, ONE, TWO], ""),
        ([ASKS, User("And?"), TWO, Assistant("So."), ONE], [ASKS, ONE, TWO, User("And?"), Assistant("So.")], ""),
        ([ASKS, ONE, TWO, ONE, TWO], [ASKS, ONE, TWO], ""),
        ([ASKS, ToolReply("A", "1"), ToolReply("B", "2")], [ASKS, ONE, TWO], ""),
        ([ASKS, ToolReply("A", NOT_ANSWERED), TWO, ONE], [ASKS, ONE, TWO], ""),
        ([ASKS, ToolReply("A", NOT_ANSWERED, "add"), TWO], [ASKS, ToolReply("A", NOT_ANSWERED, "add"), TWO], ""),
        (
            [ASKS, ONE, TWO, ToolReply("A", "other")],
            [ASKS, ONE, TWO, User("A tool was called earlier and gave:\nother")],
            ALONE,
        ),
        ([*WHOLE, *WHOLE[1:]], [*WHOLE, *WHOLE[1:]], ""),
        ([*WHOLE, *WHOLE], [*WHOLE, *WHOLE[1:]], ""),
        ([*WHOLE, System("Be long.")], [*WHOLE, User("Be long.")], MIDDLE),
        ([User("Hi."), System("You are b.", agent="b"), User("Ho.")], [User("Hi."), User("Ho.")], ""),
    ],
)
def test_what_is_mended_and_told(messages, expected, told):
    assert mended(messages) == (expected, told)
    assert mended(expected) == (expected, "")


def test_an_id_that_comes_again_belongs_to_the_last_call():
    first, again = Assistant(calls=(A,)), Assistant("Again.", (A,))
    whole, told = mended([first, again, ONE])
    assert whole == [first, ToolReply("A", NOT_ANSWERED, "add"), again, ONE]
    assert told == UNANSWERED


def test_calls_that_share_an_id_get_their_own_answers():
    whole, told = mended([Assistant(calls=(A, Call("look", id="A"))), ToolReply("A", "1"), ToolReply("A", "2")])
    calls = whole[0].calls
    assert len({call.id for call in calls}) == 2
    assert [(reply.call_id, reply.text, reply.name) for reply in whole[1:]] == [
        (calls[0].id, "1", "add"),
        (calls[1].id, "2", "look"),
    ]
    assert told == ""


def test_a_conversation_takes_what_was_mended():
    messages = [TWO, ASKS, ONE, User("Hm."), System("s"), Assistant(), ASKS, TWO]
    Conversation(mended(messages)[0])
