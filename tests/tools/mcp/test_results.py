"""What a tool gives."""

import copy
import pickle
from base64 import b64encode

import pytest
from mcp_types import CallToolResult

from tinyagent.core.codec import pack
from tinyagent.core.jsonable import to_data, to_text
from tinyagent.tools.mcp import MCPData, MCPMedia, MCPProgress, MCPResult, MCPToolError
from tinyagent.tools.mcp.results import value_of

OBJECT = {"type": "object"}
WRAPPED = {"title": "fOutput", "type": "object", "properties": {"result": {}}}
TEXT = {"type": "text", "text": "some"}
IMAGE = {"type": "image", "mimeType": "image/png", "data": "AAAA"}


def value(schema=None, **result):
    """What a result is for the caller."""
    return value_of(CallToolResult.model_validate(result), schema)


def test_text():
    assert value(content=[]) == ""
    assert value(content=[TEXT]) == "some"
    assert value(content=[TEXT, TEXT]) == "some\nsome"


def test_data():
    assert value(OBJECT, content=[TEXT], structuredContent={"a": 1}) == {"a": 1}
    assert value(content=[TEXT], structuredContent={"a": 1}) == {"a": 1}
    assert value(content=[], structuredContent=[1]) == [1]
    assert value(content=[TEXT], structuredContent=None) == "some"
    assert value(WRAPPED, content=[], structuredContent={"result": [1]}) == [1]
    assert value(WRAPPED, content=[TEXT], structuredContent={"result": None}) is None
    assert value(WRAPPED, content=[TEXT], structuredContent={"other": 1}) == {"other": 1}
    assert value(OBJECT, content=[TEXT], structuredContent={"result": 1}) == {"result": 1}


def test_media():
    png = MCPMedia("image/png", b"\0\0\0")
    assert value(content=[TEXT, IMAGE]) == MCPResult(("some", png))
    result = value(content=[TEXT, IMAGE], structuredContent={"a": 1})
    assert result == MCPResult(("some", png), {"a": 1})
    assert (result.text, result.media) == ("some", (png,))
    assert to_text(result) == 'some\n[image/png, 3 bytes]\n{"a":1}'
    assert to_text([png]) == '[{"mime_type":"image/png","data":"\\u0000\\u0000\\u0000","uri":null}]'
    assert "\\0" not in repr(png)


def text_block(text):
    return {"type": "text", "text": text}


LONG = b64encode(bytes(range(256)) * 100).decode()
PNG = {"type": "image", "mimeType": "image/png", "data": LONG}
BLOB = {"uri": "file:///a", "mimeType": "a/b", "blob": LONG}
NOTE = "[image/png, 25,600 bytes]"


@pytest.mark.parametrize(
    ("content", "data", "read"),
    [
        # the text is the JSON of the data, written in any way
        (['{"b": 1,\n "a": [true, null]}'], {"a": [True, None], "b": 1}, '{"a":[true,null],"b":1}'),
        (['{"a": "\\u00e9"}'], {"a": "é"}, '{"a":"é"}'),
        (["1", "2.5", "x", '{"a": 1}'], [1, 2.5, [["x"], None, {"a": 1}]], '[1,2.5,[["x"],null,{"a":1}]]'),
        ([], {"a": 1}, '{"a":1}'),
        ([], {}, "{}"),
        ([""], {"content": ""}, '{"content":""}'),
        # the data are only the text
        (['def f():\n\treturn "\\n"\n'], {"content": 'def f():\n\treturn "\\n"\n'}, 'def f():\n\treturn "\\n"\n'),
        (["a", "b"], {"lines": ["a", "b"]}, "a\nb"),
        (["a", "b"], {"content": "a\nb"}, "a\nb"),
        (["a"], {"content": [{"type": "text", "text": "a"}]}, "a"),
        (["5"], {"result": 5}, "5"),
        (["Here you are:", '{"a": 1}'], {"a": 1}, 'Here you are:\n{"a": 1}'),
        (["some"], {}, "some"),
        # they differ
        (["some"], {"a": 1}, 'some\n{"a":1}'),
        (["some"], ["some", "more"], 'some\n["some","more"]'),
        (["1"], {"a": True}, '1\n{"a":true}'),
        (["Found 10 files."], {"errors": 1}, 'Found 10 files.\n{"errors":1}'),
        (["All is well."], {"state": "a"}, 'All is well.\n{"state":"a"}'),
        (["a"], {"kind": "text", "text": "a"}, 'a\n{"kind":"text","text":"a"}'),
        (["[" * 100_000], {"a": 1}, "[" * 100_000 + '\n{"a":1}'),
        (["9" * 10_000], {"a": 1}, "9" * 10_000 + '\n{"a":1}'),
        # media are notes
        ([PNG], {"content": [PNG]}, NOTE),
        ([PNG], {"image": LONG}, NOTE),
        (
            [PNG],
            {"image": f"data:image/png;base64,{LONG}", "width": 3},
            f'{NOTE}\n{{"image":"data:image/png;base64,{NOTE}","width":3}}',
        ),
        (
            [PNG],
            {"content": [{**PNG, "width": 3}]},
            f'{NOTE}\n{{"content":[{{"type":"image","mimeType":"image/png","data":"{NOTE}","width":3}}]}}',
        ),
        (
            [{"type": "resource", "resource": BLOB}],
            {"content": [{"type": "resource", "resource": BLOB}]},
            "[file:///a, a/b, 25,600 bytes]",
        ),
        ([PNG, f'{{"image": "{LONG}"}}'], {"image": LONG}, f'{NOTE}\n{{"image": "{NOTE}"}}'),
        (["A picture"], {"picture": PNG}, f'A picture\n{{"picture":"{NOTE}"}}'),
        ([], {"file": {**BLOB, "mimeType": None}}, '{"file":"[file:///a, application/octet-stream, 25,600 bytes]"}'),
        ([IMAGE], {"a": "AAAA", "b": "xAAAA"}, '[image/png, 3 bytes]\n{"a":"[image/png, 3 bytes]","b":"xAAAA"}'),
        (
            ["a"],
            {"type": "image", "mimeType": "a/b", "data": "no base64!A"},
            'a\n{"type":"image","mimeType":"a/b","data":"no base64!A"}',
        ),
    ],
)
def test_what_the_model_reads(content, data, read):
    blocks = [text_block(block) if isinstance(block, str) else block for block in content]
    found = value(OBJECT, content=blocks, structuredContent=data)
    assert to_text(found) == read
    if isinstance(found, MCPResult):
        assert LONG not in repr(found.structured)
    else:
        assert found == data
    with pytest.raises(MCPToolError) as caught:
        value(OBJECT, content=blocks, structuredContent=data, isError=True)
    assert str(caught.value) == read


def test_lists_that_are_told_item_by_item():
    blocks = [{"type": "text", "text": text} for text in ("0", "1", "4")]
    result = value(WRAPPED, content=blocks, structuredContent={"result": [0, 1, 4]})
    assert result == [0, 1, 4]
    assert to_text(result) == "[0,1,4]"
    told = value(WRAPPED, content=[TEXT], structuredContent={"result": [1, 2]})
    assert told == MCPResult(("some",), [1, 2])
    assert to_text(told) == "some\n[1,2]"


def test_data_with_a_text_can_be_copied_and_kept():
    result = value(OBJECT, content=[TEXT], structuredContent={"a": 1})
    for again in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert again == {"a": 1}
        assert to_text(again) == to_text(result) == 'some\n{"a":1}'
    assert MCPData({"a": 1}).for_model() == '{"a":1}'


def test_data_with_a_text_are_plain_data():
    found = value(OBJECT, content=[TEXT], structuredContent={"a": [1]})
    assert (to_data(found), to_data([found]), repr(found)) == ({"a": [1]}, [{"a": [1]}], "{'a': [1]}")
    packed = pack(found, records=True)
    assert packed == {"a": [1]}
    assert type(packed) is dict


def test_files():
    blob = {"type": "resource", "resource": {"uri": "file:///a", "blob": "AAAA"}}
    assert to_text(value(content=[blob])) == "[file:///a, application/octet-stream, 3 bytes]"
    wrong = {"type": "resource", "resource": {"uri": "file:///a", "blob": "A"}}
    assert value(content=[wrong]) == "[file:///a: the server's data is not valid base64]"


def test_errors():
    with pytest.raises(MCPToolError, match=r"^some\n\[image/png, 3 bytes\]$"):
        value(OBJECT, content=[TEXT, IMAGE], isError=True)
    with pytest.raises(MCPToolError, match="did not say why"):
        value(content=[], isError=True)


def test_progress():
    assert str(MCPProgress(0.5)) == "0.5"
    assert str(MCPProgress(1, 3)) == "1 of 3"
    assert str(MCPProgress(1, 3, "packing")) == "1 of 3: packing"
