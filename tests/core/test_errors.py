"""The tree of errors."""

import re

import pytest

import tinyagent.errors as errors_room
from tinyagent.core import errors
from tinyagent.core.errors import (
    ConfigurationError,
    FatalToolError,
    ModelError,
    RunError,
    StepLimitReached,
    TinyAgentError,
    ToolArgumentsError,
)
from tinyagent.core.messages import Reply

LINE = re.compile(r"^(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>\w+)(?P<text>.*)$")


def drawn():
    """name -> (parent, other bases), as the docstring draws it."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines()[2:]:
        if not line.strip():
            continue
        found = LINE.match(line)
        depth = 0 if line[0].isalpha() else len(found["indent"]) // 4 + 1
        assert depth <= len(path), f"{line!r} hangs in the air"
        del path[depth:]
        also = re.search(r"\(also an? (\w+)\)", found["text"])
        assert found["name"] not in tree
        tree[found["name"]] = (path[-1] if path else "Exception", {also[1]} if also else set())
        path.append(found["name"])
    return tree


def classes():
    return {
        name: found
        for name, found in vars(errors).items()
        if isinstance(found, type) and issubclass(found, BaseException)
    }


def test_the_tree_is_drawn_as_it_is():
    real = {name: {base.__name__ for base in found.__bases__} for name, found in classes().items()}
    assert {name: {parent, *also} for name, (parent, also) in drawn().items()} == real


def test_the_tree_is_read_rightly():
    """So that the test above cannot pass by reading nothing."""
    tree = drawn()
    assert len(tree) > 25
    assert tree["TinyAgentError"] == ("Exception", set())
    assert tree["MissingExtraError"] == ("ConfigurationError", {"ImportError"})
    assert tree["ContextLengthError"] == ("BadRequestError", set())
    assert tree["MalformedReplyError"] == ("ModelError", set())
    assert tree["ScriptError"] == ("ModelError", set())


@pytest.mark.parametrize("name", sorted(classes()))
def test_each_error_is_public_and_documented(name):
    assert getattr(errors_room, name) is classes()[name]
    assert name in errors_room.__all__
    assert vars(classes()[name])["__doc__"]


@pytest.mark.parametrize("name", sorted(classes()))
def test_each_error_is_a_tiny_agent_error_and_says_what_it_is_told(name):
    kind = classes()[name]
    assert issubclass(kind, TinyAgentError)
    assert kind is ToolArgumentsError or str(kind("what happened")) == "what happened"


@pytest.mark.parametrize(
    ("name", "builtin"),
    [("ConfigurationError", ValueError), ("MissingExtraError", ImportError), ("TimeLimitReached", TimeoutError)],
)
def test_builtin_that_catches_it(name, builtin):
    with pytest.raises(builtin):
        raise classes()[name]("x")


@pytest.mark.parametrize("kind", [found for found in classes().values() if issubclass(found, RunError)])
def test_run_error_has_room_for_the_result(kind):
    error = kind("x")
    assert not error.has_result
    with pytest.raises(AttributeError, match="has ended no run"):
        error.result
    error.result = "what the run had"
    assert error.result == "what the run had"
    assert not kind("y").has_result


RETRYABLE = {
    "ModelConnectionError",
    "ModelTimeoutError",
    "NoChoicesError",
    "RateLimitError",
    "ServerError",
    "StreamInterruptedError",
}


@pytest.mark.parametrize("kind", [found for found in classes().values() if issubclass(found, ModelError)])
def test_model_error(kind):
    error = kind("x")
    assert (error.status, error.retry_after, error.body, error.partial) == (None, None, None, None)
    assert error.retryable is (kind.__name__ in RETRYABLE)
    assert kind("x", retryable=not error.retryable).retryable is not error.retryable
    partial = Reply("half")
    error = kind("x", status=503, retry_after=1.5, body="busy", partial=partial)
    assert (str(error), error.status, error.retry_after, error.body) == ("x", 503, 1.5, "busy")
    assert error.partial is partial


def test_details_of_a_model_error_are_named():
    with pytest.raises(TypeError):
        ModelError("x", 503)


def test_tool_arguments_error():
    error = ToolArgumentsError("add", (f"{name}: required, but missing" for name in "ab"))
    assert error.tool == "add"
    assert error.problems == ("a: required, but missing", "b: required, but missing")
    assert str(error) == (
        "The arguments do not fit the tool 'add':\n- a: required, but missing\n- b: required, but missing"
    )


def test_limits_are_told_apart_from_failures_and_from_mistakes():
    assert issubclass(StepLimitReached, errors.RunLimitError)
    assert not issubclass(StepLimitReached, ModelError)
    assert not issubclass(FatalToolError, ModelError)
    assert not issubclass(RunError, ConfigurationError)
    assert not issubclass(ConfigurationError, RunError)
    assert not issubclass(ToolArgumentsError, RunError | ConfigurationError)
