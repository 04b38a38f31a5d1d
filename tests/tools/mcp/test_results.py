"""What a tool gives."""

import copy
import pickle
from base64 import b64encode

import pytest
from mcp_types import CallToolResult

from tinyagent.core.jsonable import to_text
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


def test_media_that_the_data_repeats_are_a_note():
    """As the filesystem server answers."""
    data = b64encode(bytes(range(256)) * 100).decode()
    image = {"type": "image", "mimeType": "image/png", "data": data}
    result = value(OBJECT, content=[image], structuredContent={"content": [image]})
    assert to_text(result) == "[image/png, 25,600 bytes]"
    assert result.structured["content"][0]["data"] == data
    beside = value(OBJECT, content=[image], structuredContent={"png": f"data:image/png;base64,{data}", "width": 7})
    assert to_text(beside) == '{"png":"[image/png, 25,600 bytes]","width":7}\n[image/png, 25,600 bytes]'


@pytest.mark.parametrize(
    ("texts", "data", "read"),
    [
        (['def f():\n\treturn "a\\n"'], {"content": 'def f():\n\treturn "a\\n"'}, 'def f():\n\treturn "a\\n"'),
        (['{"a": 1}'], {"a": 1}, '{"a":1}'),
        (['{\n  "a": [1, 2]\n}'], {"a": [1, 2]}, '{"a":[1,2]}'),
        (["21 degrees."], {"celsius": 21, "humidity": 0.31}, '21 degrees.\n{"celsius":21,"humidity":0.31}'),
        (["21 degrees, sunny: true"], {"celsius": 21, "sunny": True}, "21 degrees, sunny: true"),
        (["Done."], {"id": "x7"}, 'Done.\n{"id":"x7"}'),
        (["a", "b"], {"names": ["a", "b"]}, "a\nb"),
    ],
)  # fmt: skip
def test_the_model_reads_the_servers_text_and_the_data_if_it_says_more(texts, data, read):
    result = value(OBJECT, content=[{"type": "text", "text": text} for text in texts], structuredContent=data)
    assert result == data  # whoever called gets the data
    assert to_text(result) == read


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
