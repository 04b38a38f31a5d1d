"""What a run may spend."""

import dataclasses
import json
import math

import pytest

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import adapter, to_data
from tinyagent.core.limits import Limits


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
