"""The text of a value that could not cross."""

import copy
import json
import pickle

import pytest

from tinyagent.core.execution import Opaque as FromExecution
from tinyagent.core.jsonable import to_data, to_text
from tinyagent.core.opaque import Opaque

LOCK = Opaque("<locked>", "lock")


def test_it_is_its_text_and_knows_the_type_of_the_value():
    assert LOCK == "<locked>"
    assert isinstance(LOCK, str)
    assert LOCK.type == "lock"
    assert Opaque("x").type == "object"
    assert Opaque("x", type="T").type == "T"


def test_it_behaves_as_its_text():
    assert hash(LOCK) == hash("<locked>")
    assert {LOCK: 1}["<locked>"] == 1
    assert (repr(LOCK), f"{LOCK}", LOCK[1:4]) == ("'<locked>'", "<locked>", "loc")
    assert type(str(LOCK)) is type(LOCK.upper()) is str


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_keeps_its_type_when_it_is_pickled(protocol):
    found = pickle.loads(pickle.dumps([LOCK], protocol))[0]
    assert (type(found), found, found.type) == (Opaque, "<locked>", "lock")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_it_keeps_its_type_when_it_is_copied(copied):
    found = copied(LOCK)
    assert (type(found), found, found.type) == (Opaque, "<locked>", "lock")


def test_it_has_room_for_nothing_else():
    with pytest.raises(AttributeError):
        LOCK.other = 1


def test_a_model_reads_its_text():
    assert to_text(LOCK) == to_text([LOCK])[2:-2] == "<locked>"
    assert to_data({"a": LOCK}) == {"a": "<locked>"}
    assert json.dumps(LOCK) == '"<locked>"'


def test_it_is_at_hand_where_executions_are():
    assert FromExecution is Opaque
