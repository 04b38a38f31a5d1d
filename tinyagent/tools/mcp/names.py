"""Names that providers accept and Python code can use, for the names of an MCP server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from keyword import iskeyword

#: Characters of the longest tool name that providers accept.
LONGEST = 64
_ODD = re.compile(r"[^A-Za-z0-9_]")


def valid_names(names: Iterable[str], other: str) -> dict[str, str]:
    """Return a name `[A-Za-z_][A-Za-z0-9_]{0,63}` that is no keyword for each of `names`, all different.

    Names that are valid stay as they are; in others each odd character becomes `_`, and equal ones are numbered.

    Args:
        names: The names, in the order in which they are numbered.
        other: The word before a name that begins with a digit, and in place of one without letters and digits.
    """
    names = list(dict.fromkeys(names))
    made = {name: name for name in names if _valid(name, other) == name}
    taken = set(made)
    for name in names:
        if name not in made:
            made[name] = _free(_valid(name, other), taken)
            taken.add(made[name])
    return {name: made[name] for name in names}


def _valid(name: str, other: str) -> str:
    name = _ODD.sub("_", name)
    if not name.strip("_") or name[0].isdigit():
        name = f"{other}_{name.strip('_')}".rstrip("_")
    return f"{name}_" if iskeyword(name) else name[:LONGEST]


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST - len(str(number)) - 1]}_{number}"
    return free
