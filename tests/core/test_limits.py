"""What a run may spend, and what it has used."""

import dataclasses
import json
import math

import pytest

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import adapter, to_data
from tinyagent.core.limits import Limits, Usage


def test_defaults():
    assert Limits() == Limits(steps=10, tokens=None, seconds=None)


@pytest.mark.parametrize("name", ["steps", "tokens", "seconds"])
@pytest.mark.parametrize("value", [None, 1, 10**9])
def test_limit(name, value):
    assert getattr(Limits(**{name: value}), name) == value


@pytest.mark.parametrize("seconds", [0.001, 1.5, 1e9])
def test_fractions_of_a_second(seconds):
    assert Limits(seconds=seconds).seconds == seconds


@pytest.mark.parametrize("name", ["steps", "tokens", "seconds"])
@pytest.mark.parametrize("value", [0, -1, -0.5, True, False, "5", [], object, 1j, math.nan, -math.inf], ids=repr)
def test_wrong_limit(name, value):
    with pytest.raises(ConfigurationError) as caught:
        Limits(**{name: value})
    assert f"Limits({name}=" in str(caught.value)
    assert "a number above 0, or None" in str(caught.value)


@pytest.mark.parametrize("name", ["steps", "tokens"])
def test_steps_and_tokens_are_whole(name):
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: 1.5})


def test_frozen_and_small():
    limits = Limits()
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.steps = 1
    assert not hasattr(limits, "__dict__")
    assert hash(limits) == hash(Limits())


@pytest.mark.parametrize("limits", [Limits(), Limits(None), Limits(3, 1000, 2.5)], ids=repr)
def test_json_in_json_out(limits):
    written = json.dumps(to_data(limits), allow_nan=False)
    assert json.loads(written) == dataclasses.asdict(limits)
    assert adapter(Limits).validate_python(json.loads(written)) == limits


def test_wrong_json_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        adapter(Limits).validate_python({"steps": -1})


# ---- what it has used

ONE = Usage(requests=1, input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2)


def test_nothing_is_used_at_first():
    assert dataclasses.asdict(Usage()) == {
        "requests": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
    }
    assert Usage().total_tokens == 0


def test_total_is_input_and_output():
    """Cached and reasoning tokens are parts of the others, not more."""
    assert ONE.total_tokens == 15


def test_sum_adds_field_by_field():
    two = Usage(2, 300, 200, 100, 50)
    assert ONE + two == two + ONE == Usage(3, 310, 205, 104, 52)
    assert ONE + Usage() == ONE
    assert sum([ONE] * 3, Usage()) == Usage(3, 30, 15, 12, 6)
    assert (ONE + two).total_tokens == ONE.total_tokens + two.total_tokens


def test_every_field_is_added():
    ones = Usage(*[1] * len(dataclasses.fields(Usage)))
    assert ones + ones == Usage(*[2] * len(dataclasses.fields(Usage)))


def test_usage_is_frozen_and_small():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONE.requests = 2
    assert not hasattr(ONE, "__dict__")


@pytest.mark.parametrize("usage", [Usage(), ONE], ids=repr)
def test_usage_is_json_in_json_out(usage):
    written = json.dumps(to_data(usage), allow_nan=False)
    assert json.loads(written) == dataclasses.asdict(usage)
    assert adapter(Usage).validate_python(json.loads(written)) == usage
