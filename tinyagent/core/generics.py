"""The type parameters of agents, runs and contexts. Each has a default (PEP 696), so that nobody must write them."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

#: The object that a run hands to its tools (`deps=`). An agent without `deps_type=` takes any.
Deps = TypeVar("Deps", default=Any)
#: The output of a run: text, unless the agent says otherwise.
Output = TypeVar("Output", default=str, covariant=True)  # noqa: PLC0105 - it reads better so in `Agent[Deps, Output]`
#: The output of a run in which the model writes code: any object that the code passes to `final_answer`.
CodeOutput = TypeVar("CodeOutput", default=Any, covariant=True)  # noqa: PLC0105
