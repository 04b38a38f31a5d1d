"""Messages and tools as JSON bytes in the native form."""

import json

import pytest

from tinyagent import Call, ModelRequest, Tool, User
from tinyagent.messages import Assistant, Conversation, System, ToolReply
from tinyagent.models.native import NativeTools, message_data, to_bytes
from tinyagent.testing.history import fault_of

HERE = "http://here/v1/"
CALL = Call("add", {"a": 2}, id="c1")


def add(a: int) -> int:
    """Add.

    Args:
        a: Über.
    """
    return a


ADD = Tool(add)


def body(native, *messages, **options):
    return b"{" + native.body(ModelRequest(Conversation(messages), **options)) + b"}"


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (System("Be brief."), {"role": "system", "content": "Be brief."}),
        (User("Hi"), {"role": "user", "content": "Hi"}),
        (ToolReply("c1", "5", "add"), {"role": "tool", "tool_call_id": "c1", "content": "5"}),
        (Assistant("5"), {"role": "assistant", "content": "5"}),
        (
            Assistant(calls=(CALL,)),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}},
                ],
            },
        ),
    ],
)
def test_each_message_has_the_form_of_the_api(message, data):
    assert message_data(message, HERE) == data


def test_the_arguments_are_replayed_as_the_model_wrote_them():
    data = message_data(Assistant(calls=(Call("add", {"a": 2}, raw='{ "a":2 }'),)), HERE)
    assert data["tool_calls"][0]["function"]["arguments"] == '{ "a":2 }'


def test_a_call_without_a_name_is_replayed_with_one():
    messages = [Assistant(calls=(Call("", id="c1"),)), ToolReply("c1", "There is no tool named ''.")]
    assert fault_of({"messages": [message_data(message, HERE) for message in messages]}) is None


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("reasoning_content", {"role": "assistant", "content": "5", "reasoning_content": "hm"}),
        ("reasoning", {"role": "assistant", "content": "5", "reasoning": "hm"}),
        ("think", {"role": "assistant", "content": "<think>hm</think>5"}),
        ("protocol", {"role": "assistant", "content": "5"}),
    ],
)
def test_reasoning_goes_back_where_the_server_put_it(field, data):
    message = Assistant("5", reasoning="hm", reasoning_field=field, origin=HERE)
    assert message_data(message, HERE) == data
    assert message_data(message, "http://elsewhere/v1/") == {"role": "assistant", "content": "5"}


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("é😀", '"é😀"'),
        ("\ud83d\ude00", '"😀"'),
        ("a\ud83db", '"a\ufffdb"'),
        ("\udc00", '"\ufffd"'),
        ('"\\\n\x00', '"\\"\\\\\\n\\u0000"'),
    ],
)
def test_any_text_is_encoded_as_utf_8(text, encoded):
    assert to_bytes(text) == encoded.encode()


def test_json_is_compact():
    assert to_bytes({"a": [1, 2], "b": None}) == b'{"a":[1,2],"b":null}'


def test_a_body_holds_tools_and_messages():
    data = json.loads(body(NativeTools(HERE), System("Be brief."), User("Hi"), tools=(ADD,)))
    assert data == {
        "tools": [ADD.definition],
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    }


def test_a_body_without_tools_names_none():
    assert json.loads(body(NativeTools(HERE), User("Hi"))) == {"messages": [{"role": "user", "content": "Hi"}]}
    assert "tool_choice" not in json.loads(body(NativeTools(HERE), User("Hi"), tool_choice="none"))


def test_tools_stay_listed_where_none_may_be_called():
    data = json.loads(body(NativeTools(HERE), User("Hi"), tools=(ADD,), tool_choice="none"))
    assert data["tool_choice"] == "none"
    assert data["tools"] == [ADD.definition]


def test_a_growing_conversation_only_adds_bytes():
    native, conversation = NativeTools(HERE), Conversation([User("Hi")])
    before = native.body(ModelRequest(conversation, (ADD,)))
    conversation.append(Assistant(calls=(CALL,)))
    conversation.append(ToolReply("c1", "5"))
    after = native.body(ModelRequest(conversation, (ADD,)))
    assert after.startswith(before[:-1])
    assert len(json.loads(b"{" + after + b"}")["messages"]) == 3


def test_each_message_is_encoded_once():
    encoded = []
    native, conversation = NativeTools(HERE), Conversation([User("Hi")])
    encode = native.encode
    native.encode = lambda message: encoded.append(message) or encode(message)
    for number in range(5):
        native.body(ModelRequest(conversation))
        conversation.append(User(str(number)))
    native.body(ModelRequest(conversation))
    assert encoded == list(conversation.messages)


def test_two_servers_have_encodings_of_their_own():
    conversation = Conversation([User("Hi"), Assistant("5", reasoning="hm", reasoning_field="reasoning", origin=HERE)])
    here, there = (NativeTools(origin).body(ModelRequest(conversation)) for origin in (HERE, "http://there/v1/"))
    assert b'"reasoning":"hm"' in here
    assert b"reasoning" not in there
