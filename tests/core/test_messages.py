"""Messages, and the conversation they make: append-only, always valid, each message encoded once."""

import dataclasses
import json
import math
import re
from collections import Counter

import pytest
from hypothesis import given, strategies as st

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import adapter, to_data
from tinyagent.core.limits import Usage
from tinyagent.core.messages import (
    NOT_ANSWERED,
    Assistant,
    Call,
    Conversation,
    Message,
    Reply,
    System,
    ToolReply,
    User,
)

A, B = Call("add", {"a": 1}, id="A"), Call("add", {"b": 2}, id="B")
ASKS = Assistant("I will add.", (A, B))
MESSAGES = [
    System("Be brief."),
    User("Add."),
    Assistant("text"),
    Assistant("", (A, B)),
    Assistant("text", (A,), "because", "reasoning_content", "http://127.0.0.1/v1"),
    Assistant(calls=(Call("f", {}, id="x", raw="{}", problem="cut"),)),
    ToolReply("A", "3", "add"),
    ToolReply("A", ""),
]


# ---- messages


def test_call_is_written_as_json():
    made = Call("search", {"query": "Zürich 🙂", "limit": None, "deep": {"a": [1, 2.5, True]}})
    assert json.loads(made.raw) == made.arguments
    assert "Zürich 🙂" in made.raw
    assert made.problem is None


def test_call_keeps_what_the_model_wrote():
    assert Call("f", {"a": 1}, raw='{"a":1}').raw == '{"a":1}'
    assert Call("f").raw == "{}"
    assert Call("f").arguments == {}


def test_call_with_a_number_that_json_has_not_is_json_all_the_same():
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    json.loads(Call("f", {"x": math.nan, "y": [math.inf]}).raw, parse_constant=refuse)


def test_calls_get_ids_of_their_own():
    ids = {Call("f").id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 9 and each.isascii() and each.isalnum() for each in ids)  # as Mistral wants
    assert Call("f").arguments is not Call("f").arguments


@pytest.mark.parametrize("message", [*MESSAGES, A, Reply("text")], ids=lambda message: type(message).__name__)
def test_frozen_and_small(message):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(message, dataclasses.fields(message)[0].name, "other")
    assert not hasattr(message, "__dict__")


@pytest.mark.parametrize(
    ("message", "role"),
    [(System("a"), "system"), (User("a"), "user"), (Assistant("a"), "assistant"), (ToolReply("a", "b"), "tool")],
)
def test_roles(message, role):
    assert message.role == role


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_json_in_json_out(message):
    written = json.dumps(to_data(message), allow_nan=False)
    again = adapter(Message).validate_python(json.loads(written))
    assert again == message
    assert type(again) is type(message)


def test_list_of_messages_json_in_json_out():
    written = json.dumps(to_data(MESSAGES), allow_nan=False)
    assert adapter(list[Message]).validate_python(json.loads(written)) == MESSAGES


def test_reply_as_a_message():
    reply = Reply("text", (A,), "because", "reasoning", "length", Usage(1, 2, 3), "http://127.0.0.1/v1")
    assert reply.message() == Assistant("text", (A,), "because", "reasoning", "http://127.0.0.1/v1")
    assert Reply() == Reply("", (), "", "", "stop", Usage(), "")


# ---- the conversation


def test_conversation_holds_its_messages_in_order():
    messages = (System("s"), User("u"), Assistant("a"), User("u2"), ASKS, ToolReply("A", "1"), ToolReply("B", "2"))
    conversation = Conversation()
    for message in messages:
        conversation.append(message)
    assert conversation.messages == tuple(conversation) == messages
    assert len(conversation) == 7
    assert Conversation(messages).messages == messages
    assert Conversation(iter(messages)).messages == messages


def test_conversation_only_grows():
    conversation = Conversation([User("a")])
    before, reading = conversation.messages, iter(conversation)
    conversation.append(Assistant("b"))
    assert before == (User("a"),)
    assert list(reading) == [User("a")]
    assert conversation.messages == (User("a"), Assistant("b"))
    for change in ("__setitem__", "__delitem__", "remove", "pop", "clear", "insert", "extend"):
        assert not hasattr(conversation, change)
    with pytest.raises(AttributeError):
        conversation.messages = ()


def test_conversation_does_not_share_the_list_it_was_made_from():
    messages = [User("a")]
    conversation = Conversation(messages)
    messages.append(User("b"))
    assert len(conversation) == 1


def test_empty_conversation():
    assert len(Conversation()) == 0
    assert Conversation().messages == ()
    assert Conversation().open_calls == ()
    assert list(Conversation().encoded(lambda message: b"")) == []


class Encoder:
    """Counts how often it encodes each message."""

    def __init__(self, fail_at=None):
        self.counts = Counter()
        self.fail_at = fail_at

    def __call__(self, message):
        self.counts[id(message)] += 1
        if sum(self.counts.values()) == self.fail_at:
            raise ValueError("full")
        return json.dumps(to_data(message)).encode()

    def method(self, message):
        return self(message)


def test_each_message_is_encoded_once():
    conversation, encoder = Conversation(), Encoder()
    for number in range(20):
        conversation.append(User(str(number)))
        conversation.append(Assistant(f"answer {number}"))
        encoded = list(conversation.encoded(encoder))
        assert encoded == list(conversation.encoded(encoder))
        assert len(encoded) == len(conversation)
    assert set(encoder.counts.values()) == {1}
    assert len(encoder.counts) == 40
    assert [json.loads(part) for part in encoded] == [to_data(message) for message in conversation]


def test_each_encoder_encodes_for_itself():
    conversation = Conversation([User("a"), Assistant("b")])
    first, second = Encoder(), Encoder()
    conversation.encoded(first)
    conversation.append(User("c"))
    conversation.encoded(second)
    conversation.encoded(first)
    assert sorted(first.counts.values()) == sorted(second.counts.values()) == [1, 1, 1]
    assert [bytes(part) for part in conversation.encoded(lambda message: message.text.encode())] == [b"a", b"b", b"c"]


def test_bound_method_as_encoder_encodes_once_too():
    conversation, encoder = Conversation([User("a")]), Encoder()
    conversation.encoded(encoder.method)
    conversation.encoded(encoder.method)
    assert list(encoder.counts.values()) == [1]


def test_failing_encoder_goes_on_where_it_failed():
    conversation = Conversation([User("a"), Assistant("b"), User("c")])
    encoder = Encoder(fail_at=2)
    with pytest.raises(ValueError, match="full"):
        conversation.encoded(encoder)
    encoded = conversation.encoded(encoder)
    assert [json.loads(part)["text"] for part in encoded] == ["a", "b", "c"]
    assert [encoder.counts[id(message)] for message in conversation] == [1, 2, 1]


# ---- its validity


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [User("u")],
        [User("u"), Assistant("a")],
        [User("u"), ASKS, ToolReply("A", "1"), ToolReply("B", "2")],
        [User("u"), ASKS, ToolReply("A", "1"), ToolReply("B", "2"), Assistant("a")],
    ],
    ids=len,
)
def test_orphan_answer_is_refused(messages):
    conversation = Conversation(messages)
    with pytest.raises(ConfigurationError, match=r"answers a call 'A' that is not open.*result\.messages"):
        conversation.append(ToolReply("A", "again"))
    assert list(conversation) == messages
    with pytest.raises(ConfigurationError, match="'A'"):
        Conversation([*messages, ToolReply("A", "again")])


def test_answer_to_another_call_is_refused():
    conversation = Conversation()
    conversation.append(ASKS)
    with pytest.raises(ConfigurationError, match="'C'"):
        conversation.append(ToolReply("C", "3"))
    conversation.append(ToolReply("B", "2"))
    with pytest.raises(ConfigurationError, match="'B'"):
        conversation.append(ToolReply("B", "2"))
    assert conversation.open_calls == (A,)


@pytest.mark.parametrize(
    "message", [User("u"), System("s"), Assistant("a"), Assistant(calls=(Call("f"),)), Assistant()]
)
def test_nothing_comes_before_the_answers(message):
    conversation = Conversation([User("u")])
    conversation.append(ASKS)
    conversation.append(ToolReply("B", "2"))
    with pytest.raises(ConfigurationError, match=r"The calls \['A'\] must be answered first"):
        conversation.append(message)
    assert conversation.messages == (User("u"), ASKS, ToolReply("B", "2"))
    conversation.append(ToolReply("A", "1"))
    conversation.append(User("go on"))
    assert conversation.open_calls == ()


def test_open_calls():
    conversation = Conversation()
    conversation.append(ASKS)
    assert conversation.open_calls == (A, B)
    conversation.append(ToolReply("A", "1"))
    assert conversation.open_calls == (B,)


def test_closing_answers_what_is_open():
    conversation = Conversation()
    conversation.append(ASKS)
    conversation.append(ToolReply("B", "2", "add"))
    conversation.close()
    conversation.close()
    assert conversation.messages == (ASKS, ToolReply("B", "2", "add"), ToolReply("A", NOT_ANSWERED, "add"))
    assert conversation.open_calls == ()
    conversation.append(User("next"))


def test_closing_in_ones_own_words():
    conversation = Conversation()
    conversation.append(ASKS)
    conversation.close("Stopped.")
    assert [message.text for message in conversation][1:] == ["Stopped.", "Stopped."]


def test_loaded_history_is_repaired():
    loaded = [
        System("s"),
        User("u"),
        ASKS,
        ToolReply("A", "1"),  # B was never answered
        User("and then?"),
        Assistant("", (), "only reasoning"),  # no server accepts it
        Assistant("fine"),
        User("once more"),
        Assistant("", (Call("f", {}, id="C"),)),
    ]
    conversation = Conversation(loaded)
    assert conversation.messages == (
        *loaded[:4],
        ToolReply("B", NOT_ANSWERED, "add"),
        User("and then?"),
        Assistant("fine"),
        User("once more"),
        loaded[-1],
        ToolReply("C", NOT_ANSWERED, "f"),
    )
    assert Conversation(conversation).messages == conversation.messages


def test_loaded_history_of_calls_after_calls_is_repaired():
    conversation = Conversation([ASKS, Assistant(calls=(Call("f", id="C"),))])
    assert [message.role for message in conversation] == ["assistant", "tool", "tool", "assistant", "tool"]
    assert [message.call_id for message in conversation if isinstance(message, ToolReply)] == ["A", "B", "C"]


def test_empty_assistant_message_is_left_out():
    conversation = Conversation([User("u")])
    conversation.append(Assistant())
    conversation.append(Assistant(reasoning="thinking"))
    assert conversation.messages == (User("u"),)
    conversation.append(Assistant(calls=(A,)))
    assert len(conversation) == 2


def test_id_that_comes_again_in_a_later_turn():
    conversation = Conversation()
    for _ in range(2):
        conversation.append(Assistant(calls=(A,)))
        conversation.append(ToolReply("A", "1"))
    assert len(conversation) == 4


def fault(messages):
    """What is wrong with a history: each call is answered once, right after its message, and nothing else is."""
    open_calls = []
    for message in messages:
        if isinstance(message, ToolReply):
            if message.call_id not in open_calls:
                return f"{message} answers nothing"
            open_calls.remove(message.call_id)
        elif open_calls:
            return f"{message} comes before {open_calls}"
        elif isinstance(message, Assistant):
            if not (message.text or message.calls):
                return "empty"
            open_calls = [each.id for each in message.calls]
    return open_calls or None


ids = st.sampled_from("ABC")
any_message = st.one_of(
    st.builds(User, st.just("u")),
    st.builds(
        Assistant,
        st.sampled_from(["", "text"]),
        st.lists(ids, unique=True, max_size=3).map(lambda found: tuple(Call("f", {}, id=each) for each in found)),
    ),
    st.builds(ToolReply, ids, st.just("1")),
)


@given(st.lists(any_message, max_size=12), st.booleans())
def test_whatever_is_appended_the_history_is_valid(messages, close_as_it_goes):
    conversation = Conversation()
    for message in messages:
        before = conversation.messages
        try:
            conversation.append(message)
        except ConfigurationError:
            assert conversation.messages == before
        if close_as_it_goes:
            conversation.close()
            assert fault(conversation) is None
    conversation.close()
    assert fault(conversation) is None
    assert Conversation(conversation.messages).messages == conversation.messages


# ---- instructions


def test_instructions_come_first_and_take_the_place_of_earlier_ones():
    conversation = Conversation([User("Add.")])
    conversation.instruct("Be brief.", "first")
    assert conversation.messages == (System("Be brief."), User("Add."))
    conversation.instruct("Be long.", "second")
    assert conversation.messages == (System("Be long."), User("Add."))
    assert conversation.messages[0].agent == "second"
    conversation.instruct("")
    assert conversation.messages == (User("Add."),)
    conversation.instruct("")
    assert conversation.messages == (User("Add."),)


def test_instructions_that_no_agent_has_written_stay_where_an_agent_has_none():
    conversation = Conversation([System("By hand."), User("Add.")])
    conversation.instruct("", "agent")
    assert conversation.messages == (System("By hand."), User("Add."))
    conversation.instruct("Mine.", "agent")
    assert conversation.messages == (System("Mine."), User("Add."))


def test_instructions_may_come_before_anything_else():
    conversation = Conversation()
    conversation.instruct("Be brief.")
    conversation.append(User("Add."))
    assert conversation.messages == (System("Be brief."), User("Add."))
    empty = Conversation()
    empty.instruct("")
    assert len(empty) == 0


def test_instructions_leave_what_is_open_open():
    conversation = Conversation([User("Add.")])
    conversation.append(ASKS)
    conversation.instruct("Be brief.")
    assert conversation.open_calls == (A, B)
    conversation.append(ToolReply("A", "1"))
    conversation.close()
    assert fault(conversation) is None


def test_what_was_encoded_before_is_not_sent_with_new_instructions():
    def encode(message):
        return message.text.encode()

    conversation = Conversation([System("Be brief."), User("Add.")])
    before = conversation.encoded(encode)
    assert list(before) == [b"Be brief.", b"Add."]
    conversation.instruct("Be long.", "agent")
    assert list(conversation.encoded(encode)) == [b"Be long.", b"Add."]
    assert list(before) == [b"Be brief.", b"Add."]
    conversation.instruct("")
    conversation.append(Assistant("Yes."))
    assert list(conversation.encoded(encode)) == [b"Add.", b"Yes."]


def test_ids_that_are_made_for_a_reply_are_always_the_same():
    reply = Reply(calls=(Call("a", id="x"), Call("b", id="x"), Call("c", id="y"), Call("d", id="x")))
    first, second = reply.with_own_ids(), reply.with_own_ids()
    assert first == second
    ids = [call.id for call in first.calls]
    assert (ids[0], ids[2], len(set(ids))) == ("x", "y", 4)
    assert all(re.fullmatch(r"[A-Za-z0-9]{9}", made) for made in (ids[1], ids[3]))
