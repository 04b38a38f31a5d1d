"""What a run has used."""

import dataclasses
import json

import pytest

from tinyagent.core.jsonable import adapter, to_data
from tinyagent.core.usage import Usage

ONE = Usage(requests=1, input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2)


def test_nothing_used():
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


def test_frozen_and_small():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ONE.requests = 2
    assert not hasattr(ONE, "__dict__")


@pytest.mark.parametrize("usage", [Usage(), ONE], ids=repr)
def test_json_in_json_out(usage):
    written = json.dumps(to_data(usage), allow_nan=False)
    assert json.loads(written) == dataclasses.asdict(usage)
    assert adapter(Usage).validate_python(json.loads(written)) == usage
