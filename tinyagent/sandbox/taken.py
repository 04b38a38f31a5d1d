"""Names of tools, and of Python's own functions, that code has given to something else."""

from __future__ import annotations

import builtins
from collections.abc import Container, Mapping
from typing import Any


def name_for_value(tool: str, in_use: Container[str]) -> str:
    """Return a free name for what the code has put under the name of a tool."""
    name, number = f"{tool}_value", 1
    while name in in_use:
        number += 1
        name = f"{tool}_value{number}"
    return name


def give_names_back(names: dict[str, Any], tools: Mapping[str, object], kept: dict[str, str]) -> str:
    """Give every tool its own name again; a value that the code had put there stays, under another name.

    Args:
        names: The global names of the code.
        tools: The tools by name, as the code sees them.
        kept: The other names by the names of tools, the same from block to block; new ones are added.

    Returns:
        The note that tells the code's author, empty where there is nothing to tell.
    """
    moved: dict[str, str | None] = {}
    for name, tool in tools.items():
        if names.get(name) is tool:
            continue
        moved[name] = None
        if name in names:
            moved[name] = kept[name] = kept.get(name) or name_for_value(name, names)
            names[kept[name]] = names[name]
        names[name] = tool
    return given_back(moved)


def given_back(kept: Mapping[str, str | None]) -> str:
    """Return the note that tells the code's author which tools have their names again.

    Args:
        kept: For the name of each tool, the name that now has the value which the code had put there; `None` where
            the code had deleted the tool.
    """
    told = ""
    for tool, name in kept.items():
        where = f"; what you put under that name is now {name}" if name is not None else ""
        told += f"note: {tool} is a tool, and {tool} is that tool again from the next block on{where}\n"
    return told


def hint_of_shadowed(error: BaseException, names: Mapping[str, object]) -> str | None:
    """Return a hint where an error may come from a variable that hides one of Python's functions, else `None`.

    Args:
        error: What ended the block.
        names: The global names of the code.
    """
    if type(error) is not TypeError or "object is not callable" not in str(error):
        return None
    hidden = [name for name in names if name in vars(builtins) and name[:1] != "_" and not callable(names[name])]
    if not hidden:
        return None
    return f"Your code has given {', '.join(hidden)} to a variable; 'del {hidden[0]}' brings Python's own back."
