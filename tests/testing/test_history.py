"""What a strict provider demands of the messages in a request."""

import pytest

from tinyagent.testing.history import fault_of

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}


def asks(*ids, content=None, **function):
    calls = [{"id": i, "type": "function", "function": {"name": "add", "arguments": "{}", **function}} for i in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def tells(call_id, content="5"):
    return {"role": "tool", "tool_call_id": call_id, "content": content}


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        [SYSTEM, USER],
        [USER, ANSWER, USER],
        [USER, USER],
        [USER, asks("c1"), tells("c1")],
        [USER, asks("c1", "c2", content="Let me see."), tells("c1"), tells("c2", ""), ANSWER, USER],
        [USER, asks("c1"), tells("c1"), asks("c1"), tells("c1")],
    ],
)
def test_a_valid_history_has_no_fault(messages):
    assert fault_of({"messages": messages}) is None


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([], "there are no messages"),
        (None, "there are no messages"),
        ([USER, SYSTEM], r"messages[1]: the role 'system' is in the wrong place"),
        ([{"role": "robot", "content": "Hi"}], "messages[0]: the role 'robot'"),
        ([{"content": "Hi"}], "messages[0]: the role None"),
        ([{"role": "user", "content": None}], "messages[0]: it has no text"),
        ([USER, {"role": "assistant", "content": None}], "messages[1]: it is an empty assistant message"),
        ([USER, {"role": "assistant", "content": "", "tool_calls": []}], "messages[1]: it is an empty assistant"),
        ([USER, asks("c1")], "the calls ['c1'] have no answer"),
        ([USER, asks("c1"), USER], "messages[2] comes before the answers to ['c1']"),
        ([USER, asks("c1", "c2"), tells("c1"), ANSWER], "messages[3] comes before the answers to ['c2']"),
        ([USER, asks("c1", "c2"), tells("c2"), tells("c1")], "messages[2] answers 'c2', which is not the next"),
        ([USER, asks("c1"), tells("c1"), tells("c1")], "messages[3] answers 'c1', which is not the next open call"),
        ([USER, tells("c1")], "messages[1] answers 'c1'"),
        ([USER, asks("c1"), tells("c1", None)], "messages[2]: it has no text"),
        ([USER, asks(""), tells("")], "is no function call"),
        ([USER, asks("c1", name=""), tells("c1")], "is no function call"),
        ([USER, asks("c1", arguments=""), tells("c1")], "the arguments '' are no JSON object"),
        ([USER, asks("c1", arguments="{"), tells("c1")], "the arguments '{' are no JSON object"),
        ([USER, asks("c1", arguments="[]"), tells("c1")], "the arguments '[]' are no JSON object"),
        ([USER, asks("c1", arguments=None), tells("c1")], "the arguments None are no JSON object"),
        ([USER, asks("c1", arguments={}), tells("c1")], "the arguments {} are no JSON object"),
    ],
)
def test_a_fault_is_named_with_its_place(messages, fault):
    assert fault in fault_of({"messages": messages})
