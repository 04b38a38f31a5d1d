"""What agents, runs and contexts are generic in. Each has a default (PEP 696): what is not used need not be said."""

from __future__ import annotations

import sys
from typing import Any

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

#: The object that a run hands to its tools. An agent without `deps_type=` takes whatever comes.
Deps = TypeVar("Deps", default=Any)
#: What a run gives back: text, unless it is said to be something else.
Output = TypeVar("Output", default=str, covariant=True)  # noqa: PLC0105 - it reads better so in `Agent[Deps, Output]`
#: What code gives back: whatever it passes to `final_answer`.
CodeOutput = TypeVar("CodeOutput", default=Any, covariant=True)  # noqa: PLC0105
