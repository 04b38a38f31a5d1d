"""Messages from outside: JSON text, dicts of the Chat Completions API, objects of the OpenAI SDK."""

import contextlib
import json
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.limits import Usage
from tinyagent.core.messages import Assistant, Call, System, ToolReply, User
from tinyagent.core.result import RunInfo, RunResult
from tinyagent.models.chat import as_messages, messages_from_json, messages_to_json

CALLS = (
    Call(
        "add", {"a": 1, "deep": {"b": [None, "ä"]}}, id="A", raw='{"a":1,"deep":{"b":[null,"ä"]}}', extra={"sig": "x"}
    ),
    Call("add", {}, id="B", raw="{}", problem="The arguments are not valid JSON."),
)
MESSAGES = (
    System("Be brief.", agent="helper"),
    User("Add. \ud83d \x00"),
    Assistant("I will.", CALLS, "because", "reasoning_content", "http://127.0.0.1/v1", extra={"details": [{"a": 1}]}),
    ToolReply("A", "3", "add"),
    ToolReply("B", "bad"),
    Assistant("It is 3."),
)
RESULT = RunResult("3", "success", MESSAGES, (), Usage(), RunInfo("r", "a", "m", 0.0))


def fields(messages):
    """All that messages hold, what equality leaves out as well."""
    return [(message, getattr(message, "agent", None)) for message in messages]


# ---- JSON


def test_everything_survives_json():
    text = messages_to_json(MESSAGES)
    assert text.isascii()
    assert fields(messages_from_json(text)) == fields(MESSAGES)
    assert fields(messages_from_json(text.encode())) == fields(MESSAGES)
    assert fields(messages_from_json(json.loads(text))) == fields(MESSAGES)
    assert messages_to_json(messages_from_json(text)) == text


def test_messages_of_a_result_that_was_written_are_read():
    data = json.loads(json.dumps(RESULT.to_dict()))["messages"]
    assert fields(as_messages(data)) == fields(MESSAGES)
    assert messages_to_json(data) == messages_to_json(MESSAGES)


texts = st.text(st.characters(exclude_categories=()), max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, plain, max_size=3)
calls = st.builds(
    lambda name, arguments, call_id, problem, extra: Call(name, arguments, call_id, "", problem, extra),
    texts,
    objects,
    texts.filter(bool),
    st.none() | texts,
    objects,
)
any_messages = st.lists(
    st.builds(System, texts, agent=texts)
    | st.builds(User, texts)
    | st.builds(ToolReply, texts, texts, texts)
    | st.builds(Assistant, texts, st.lists(calls, max_size=3).map(tuple), texts, texts, texts, extra=objects),
    max_size=6,
)


@given(any_messages)
def test_whatever_messages_hold_survives(messages):
    assert fields(messages_from_json(messages_to_json(messages))) == fields(messages)


@pytest.mark.parametrize(
    "arguments",
    [
        {"a": float("nan"), "b": [float("inf")]},
        {"a": 10**4000},
        {"a": 10**5000},
        json.loads('{"a":' * 600 + "1" + "}" * 600),
        json.loads('{"a":' + "[" * 300 + "]" * 300 + "}"),
    ],
    ids=["nan", "large", "too large", "too deep", "deep"],
)
def test_arguments_beyond_json_do_no_harm(arguments):
    (asks,) = messages_from_json(messages_to_json([Assistant(calls=(Call("f", arguments, "A", "{}"),))]))
    assert (asks.calls[0].name, asks.calls[0].id, asks.calls[0].raw) == ("f", "A", "{}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("[{", "no JSON: Expecting property name"),
        (b"\xff", "no JSON"),
        ("[" * 200_000, "no JSON"),
        ('[{"role": "user", "text": NaN}]', "NaN is not JSON"),
        ("[" + "1" * 5000 + "]", "no JSON"),
        ("3", r"messages= is of the type int: pass a list"),
        ("null", r"messages= is of the type NoneType: pass a list"),
        ('{"messages": []}', r"messages= is of the type dict: pass its messages, data\['messages'\]"),
        ('{"role": "user", "content": "Hi"}', r"of the type dict: pass a list of messages, with this one"),
        ('["Hi"]', r"messages\[0\] is of the type str: write a dict such as \{'role': 'user'"),
        ('[{"role": "user", "text": "a"}, {"role": "user", "text": 3}]', r"messages\[1\]\.text: .*string"),
        ('[{"role": "user", "text": "a"}, {"role": "nobody", "text": "b"}]', r"messages\[1\] has the role 'nobody'"),
        ('[{"role": "tool", "text": "a"}]', r"messages\[0\]\.call_id: Field required"),
        (
            '[{"role": "assistant", "text": "", "calls": [{"name": "f"}, {"name": 1}]}]',
            r"messages\[0\]\.calls\[1\]\.name: .*string",
        ),
        (
            '[{"role": "assistant", "text": "", "calls": [{"name": "f", "raw": "oops"}]}]',
            r"messages\[0\]\.calls\[0\]: its raw is no JSON object",
        ),
        (
            '[{"role": "assistant", "text": "", "calls": [{"name": "f", "id": ""}]}]',
            r"messages\[0\]\.calls\[0\]: its id is empty",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        messages_from_json(text)
    assert len(str(caught.value)) < 400


# ---- dicts of the Chat Completions API


def asks(*calls, **more):
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def function(call_id="A", name="add", arguments='{"a": 1}', **more):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments, **more}}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"role": "system", "content": "Be brief."}, System("Be brief.")),
        ({"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, System("Be brief.")),
        ({"role": "user", "content": "Hi"}, User("Hi")),
        ({"role": "user", "content": "Hi", "name": "ann"}, User("Hi")),
        (MappingProxyType({"role": "user", "content": "Hi"}), User("Hi")),
        ({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, User("a\nb")),
        ({"role": "user", "content": []}, User("")),
        ({"role": "assistant", "content": "Hello"}, Assistant("Hello")),
        ({"role": "assistant", "content": None, "refusal": "No."}, Assistant("No.")),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, Assistant("No.")),
        (
            {"role": "assistant", "content": "a", "tool_calls": None, "function_call": None, "audio": None},
            Assistant("a"),
        ),
        (
            {"role": "assistant", "content": "a", "reasoning_content": "hm", "details": {"x": 1}, "name": "bot"},
            Assistant("a", (), "hm", "reasoning_content", extra={"details": {"x": 1}, "name": "bot"}),
        ),
        ({"role": "assistant", "content": "a", "reasoning": "hm"}, Assistant("a", (), "hm", "reasoning")),
        (asks(function()), Assistant("", (Call("add", {"a": 1}, "A", '{"a": 1}'),))),
        (asks(function(arguments="")), Assistant("", (Call("add", {}, "A", "{}"),))),
        (asks(function(arguments=None)), Assistant("", (Call("add", {}, "A", "{}"),))),
        (asks(function(arguments={"a": "ä"})), Assistant("", (Call("add", {"a": "ä"}, "A", '{"a": "ä"}'),))),
        (
            asks({**function(strict=True), "extra_content": {"s": 1}}),
            Assistant(
                "",
                (
                    Call(
                        "add",
                        {"a": 1},
                        "A",
                        '{"a": 1}',
                        None,
                        {"extra_content": {"s": 1}, "function": {"strict": True}},
                    ),
                ),
            ),
        ),
        ({"role": "tool", "tool_call_id": "A", "content": "3"}, ToolReply("A", "3")),
        ({"role": "tool", "tool_call_id": "A", "content": "3", "name": "add"}, ToolReply("A", "3", "add")),
        ({"role": "tool", "tool_call_id": "A", "content": [{"type": "text", "text": "3"}]}, ToolReply("A", "3")),
        (
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": "{}"}},
            Assistant("", (Call("add", {}, "function_add", "{}"),)),
        ),
        ({"role": "function", "name": "add", "content": "3"}, ToolReply("function_add", "3", "add")),
    ],
)
def test_a_dict_is_read(data, message):
    (read,) = as_messages([data])
    assert read == message
    if isinstance(message, Assistant):
        assert [json.loads(call.raw) for call in read.calls] == [call.arguments for call in read.calls]
        assert read.extra == message.extra


def test_arguments_that_are_no_json_are_kept_as_a_call_with_a_problem():
    (read,) = as_messages([asks(function(arguments='{"a": '))])
    assert (read.calls[0].raw, read.calls[0].arguments) == ("{}", {})
    assert "not valid JSON" in read.calls[0].problem


def test_objects_of_the_sdk_are_read():
    message = {"role": "assistant", "content": None, "tool_calls": [function()], "reasoning_content": "hm"}
    sdk = ChatCompletionMessage.model_validate(message)
    expected = [Assistant("", (Call("add", {"a": 1}, "A", '{"a": 1}'),), "hm", "reasoning_content")]
    assert as_messages([sdk]) == as_messages([message]) == expected
    assert (
        as_messages([{"role": "assistant", "content": None, "tool_calls": sdk.tool_calls}])[0].calls
        == expected[0].calls
    )
    assert as_messages([ChatCompletionMessage(role="assistant", content="Hi")]) == [Assistant("Hi")]


def completion():
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return ChatCompletion.model_validate(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (3, r"messages\[1\] is of the type int: write a dict such as \{'role': 'user'"),
        (None, r"messages\[1\] is of the type NoneType"),
        (RESULT, r"messages\[1\] is of the type RunResult: pass its messages, \[\*result\.messages\]"),
        ({}, r"messages\[1\] has no role: write \{'role': 'user', 'content': '...'\}; the roles are system, "),
        ({"role": None}, r"messages\[1\] has the role None"),
        ({"role": ["user"]}, r"messages\[1\] has the role \['user'\]"),
        ({"role": "x" * 1000}, r"messages\[1\] has the role 'xxx"),
        ({"type": "human", "content": "x" * 1000}, r"messages\[1\] has no role"),
        ({"role": "user"}, r"messages\[1\] has no content that is text: write \{'role': 'user', 'content': '...'\}"),
        ({"role": "user", "content": None}, "no content that is text"),
        ({"role": "system", "content": 3}, "no content that is text"),
        (
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}],
            },
            r"messages\[1\]\.content\[1\] is a part of the type 'image_url': only text can be sent",
        ),
        ({"role": "user", "content": ["a"]}, r"content\[0\] is a part of the type 'str'"),
        ({"role": "user", "content": [{"type": "text"}]}, r"content\[0\] is a part of the type 'text'"),
        ({"role": "assistant", "content": 3}, "no content that is text"),
        ({"role": "assistant", "content": "a", "tool_calls": {}}, r"messages\[1\]\.tool_calls is no list: write \["),
        ({"role": "assistant", "content": "a", "reasoning": 3}, r"messages\[1\]\.reasoning is of the type int"),
        (asks(None), r"messages\[1\]\.tool_calls\[0\] is no call of a function: write \{'id': "),
        (asks(function(), function(call_id=None)), r"tool_calls\[1\] is no call of a function"),
        (asks(function(name="")), r"tool_calls\[0\] is no call of a function"),
        (asks({"id": "A", "type": "custom", "custom": {"name": "f", "input": "x"}}), "no call of a function"),
        (asks(function(arguments=3)), r"tool_calls\[0\]\.function\.arguments is of the type int: write text"),
        ({"role": "assistant", "function_call": "f"}, r"function_call is no call of a function: write \{'name'"),
        ({"role": "tool", "content": "3"}, r"messages\[1\] says not which call it answers: .*'tool_call_id'"),
        ({"role": "tool", "tool_call_id": 7, "content": "3"}, "says not which call it answers"),
        ({"role": "tool", "tool_call_id": "A", "content": "3", "name": 3}, r"messages\[1\]\.name is of the type int"),
        ({"role": "function", "content": "3"}, r"messages\[1\]\.name is of the type NoneType"),
        (completion(), r"messages\[1\] has no role"),
    ],
)
def test_a_wrong_message_is_told_with_its_place_and_what_to_write(item, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        as_messages([User("Hi"), item])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (RESULT, r"messages= is of the type RunResult: pass result\.messages\."),
        (None, "of the type NoneType: pass a list of messages"),
        (3, "of the type int: pass a list of messages"),
        ("Hi", r"of the type str: for JSON text pass messages_from_json\(text\)"),
        (b"[]", "of the type bytes: for JSON text"),
        ({"role": "user", "content": "Hi"}, r"of the type dict: pass a list .*\[message\]"),
        (RESULT.to_dict(), r"of the type dict: pass its messages, data\['messages'\]"),
        (User("Hi"), r"of the type User: pass a list .*\[message\]"),
        (ChatCompletionMessage(role="assistant", content="Hi"), r"of the type ChatCompletionMessage: .*\[message\]"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_what_is_no_list_of_messages_is_told_with_what_to_pass(given, said):
    for read in (as_messages, messages_to_json):
        with pytest.raises(ConfigurationError, match=said) as caught:
            read(given)
        assert len(str(caught.value)) < 300


@given(
    st.lists(
        st.fixed_dictionaries(
            {"role": st.sampled_from(["system", "user", "assistant", "tool", "function"])},
            optional=dict.fromkeys(
                ("content", "text", "tool_calls", "calls", "function_call", "name", "call_id"), plain
            ),
        )
        | plain,
        max_size=3,
    )
)
def test_whatever_is_given_is_read_or_refused(given):
    with contextlib.suppress(ConfigurationError):
        messages = messages_from_json(json.dumps(given))
        assert fields(messages_from_json(messages_to_json(messages))) == fields(messages)
