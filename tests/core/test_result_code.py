"""What running a block gave."""

import builtins
import dataclasses
import json

import pytest

from tinyagent.core.codec import Opaque
from tinyagent.core.jsonable import adapter, to_data
from tinyagent.core.messages import Call
from tinyagent.core.result import CodeError, Execution, Observation

CALL = Call("add", {"a": 1}, id="block1_add_1")
OBSERVATION = Observation(CALL, "3", 3, None, 0.5)
ERROR = CodeError(
    "Missing",
    "no tea",
    'Traceback ...\nFile "<block 1>", line 2',
    2,
    ("LookupError", "Exception", "BaseException"),
    ("no tea", 3),
    ("x", "tea"),
    lost=True,
)
EXECUTION = Execution("x = tea()", [1, None], "[1, None]", "brewing\n", ERROR, (OBSERVATION,), 7, True, 1.5)


# ---- the exception


@pytest.mark.parametrize(
    ("type_", "message", "text"),
    [
        ("ValueError", "bad", "ValueError: bad"),
        ("KeyboardInterrupt", "", "KeyboardInterrupt"),
        ("E", "a\nb", "E: a\nb"),
    ],
)
def test_an_error_reads_as_python_prints_it(type_, message, text):
    assert str(CodeError(type_, message)) == text


@pytest.mark.parametrize(
    ("error", "cls", "args"),
    [
        (CodeError("ValueError", "bad", args=("bad", 3)), ValueError, ("bad", 3)),
        (CodeError("ValueError", "bad"), ValueError, ("bad",)),
        (CodeError("KeyError", "'a'", args=("a",)), KeyError, ("a",)),
        (CodeError("FileNotFoundError", "...", args=(2, "No such file")), FileNotFoundError, (2, "No such file")),
        (ERROR, LookupError, ("no tea", 3)),
        (CodeError("Own", "m", bases=("Exception", "BaseException"), args=("m",)), Exception, ("m",)),
        (CodeError("Own", "m", bases=("TooLarge", "ArithmeticError")), ArithmeticError, ("m",)),
        # those that want other arguments
        (
            CodeError("UnicodeDecodeError", "cannot", bases=("UnicodeError", "ValueError")),
            UnicodeError,
            ("cannot",),
        ),
        (CodeError("ExceptionGroup", "two", bases=("BaseExceptionGroup", "Exception")), Exception, ("two",)),
        # those that a caller does not expect
        (CodeError("KeyboardInterrupt", "stop"), RuntimeError, ("KeyboardInterrupt: stop",)),
        (CodeError("SystemExit", "3", bases=("BaseException",), args=(3,)), RuntimeError, ("SystemExit: 3",)),
        (CodeError("SandboxLost", "gone", lost=True), RuntimeError, ("SandboxLost: gone",)),
        # names that are no exceptions
        (CodeError("print", "x", bases=("int", "object")), RuntimeError, ("print: x",)),
        (CodeError("", ""), RuntimeError, ("",)),
        (CodeError("__import__", "os", args=("os",)), RuntimeError, ("__import__: os",)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_error_becomes_the_nearest_exception_of_python(error, cls, args):
    raised = error.exception()
    assert type(raised) is cls
    assert raised.args == args


@pytest.mark.parametrize("args", [(), ("x",), (1, 2, 3), (None,) * 10, ([], {}, set())], ids=repr)
def test_any_name_gives_an_exception_whatever_its_arguments(args):
    for name in dir(builtins):
        assert isinstance(CodeError(name, "text", bases=(name, "Exception"), args=args).exception(), Exception), name


# ---- plain data


def test_defaults():
    assert Execution("1") == Execution("1", None, None, "", None, (), 0, interrupted=False, seconds=0.0)
    assert CodeError("E", "m") == CodeError("E", "m", "", None, (), (), (), lost=False)
    assert Observation(CALL, "3") == Observation(CALL, "3", None, None, 0.0)


@pytest.mark.parametrize("value", [EXECUTION, ERROR, OBSERVATION], ids=lambda value: type(value).__name__)
def test_frozen_and_small(value):
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, 1)
    assert not hasattr(value, "__dict__")


@pytest.mark.parametrize("value", [EXECUTION, Execution("1"), ERROR, OBSERVATION], ids=lambda v: type(v).__name__)
def test_json_in_json_out(value):
    written = json.dumps(to_data(value), allow_nan=False)
    assert json.loads(written) == json.loads(json.dumps(dataclasses.asdict(value)))
    assert adapter(type(value)).validate_python(json.loads(written)) == value


def test_a_value_that_could_not_cross_is_written_as_its_text():
    assert to_data(Execution("f", value=[Opaque("<f>", "function")]))["value"] == ["<f>"]
