"""The doors of the package: whose mistakes they tell, and what they let through."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from tinyagent import Limits, ReactAgent, Tool
from tinyagent.core.door import door
from tinyagent.testing import ScriptedModel


class Box:
    """Something that is made."""

    @door("limits")
    def __init__(self, steps: int = 3) -> None:
        """Make it."""
        self.steps = steps + 0


def test_a_door_is_not_seen():
    assert Box(4).steps == 4
    assert str(inspect.signature(Box)) == "(steps: 'int' = 3) -> 'None'"
    assert Box.__init__.__doc__ == "Make it."


def test_an_error_of_the_constructor_itself_passes():
    with pytest.raises(TypeError, match="can only concatenate str"):
        Box("x")


def test_a_subclass_with_a_constructor_of_its_own_is_told_of_the_call_it_makes():
    class Mine(ReactAgent):
        def __init__(self, steps):
            super().__init__(model=ScriptedModel([]), max_steps=steps)

    with pytest.raises(TypeError, match=r"'max_steps': pass limits=Limits\(steps=10\)"):
        Mine(3)
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required positional argument: 'steps'$"):
        Mine()


def test_what_is_made_is_copied_and_pickled_as_ever():
    limits = Limits(steps=3)
    assert copy.copy(limits) == pickle.loads(pickle.dumps(limits)) == limits
    made = Tool(abs, name="size", description="Its size.", signature=Tool(len).signature)
    assert copy.copy(made).name == "size"


def test_the_options_of_an_agent_are_seen():
    assert list(inspect.signature(ReactAgent.__init__).parameters) == ["self", "tools", "model", "options"]
