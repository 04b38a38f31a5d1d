"""What a tool gives."""

import pytest
from mcp_types import CallToolResult

from tinyagent.core.jsonable import to_text
from tinyagent.tools.mcp import MCPMedia, MCPProgress, MCPResult, MCPToolError
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
    assert value(WRAPPED, content=[TEXT], structuredContent={"result": [1]}) == [1]
    assert value(WRAPPED, content=[TEXT], structuredContent={"result": None}) is None
    assert value(WRAPPED, content=[TEXT], structuredContent={"other": 1}) == {"other": 1}
    assert value(OBJECT, content=[TEXT], structuredContent={"result": 1}) == {"result": 1}


def test_media():
    png = MCPMedia("image/png", b"\0\0\0")
    assert value(content=[TEXT, IMAGE]) == MCPResult(("some", png))
    result = value(content=[TEXT, IMAGE], structuredContent={"a": 1})
    assert result == MCPResult(("some", png), {"a": 1})
    assert (result.text, result.media) == ("some", (png,))
    assert to_text(result) == '{"a":1}\n[image/png, 3 bytes]'
    assert to_text([png]) == '[{"mime_type":"image/png","data":"\\u0000\\u0000\\u0000","uri":null}]'
    assert "\\0" not in repr(png)


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
