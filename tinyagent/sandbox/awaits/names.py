"""Which names code binds, and where the arguments of a call go."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
#: A name, and the function, class or comprehension that it belongs to; `None` for global names. An attribute, with a
#: point before it, counts as one global name in all objects.
Key: TypeAlias = tuple[ast.AST | None, str]
#: Nodes in which no name is bound.
_NAMELESS = (ast.Constant, ast.Lambda, ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)


def names_bound(tree: ast.Module) -> tuple[str, ...]:
    """Return the global names that a block binds, in order."""
    declared = (name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)
    return tuple(dict.fromkeys([*bound_in(tree.body), *declared]))


def bound_in(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that code binds in the scope it stands in."""
    for node in nodes:
        if isinstance(node, _NAMELESS):
            continue
        inner: Iterable[ast.AST] = ast.iter_child_nodes(node)
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                continue
            case ast.comprehension():
                inner = [node.iter, *node.ifs]
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name.partition(".")[0]
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name
        yield from bound_in(inner)


def parameters(function: ast.AST) -> tuple[list[Key], dict[str, Key], Key | None]:
    """Return the parameters of a function, or the fields of a class: by place, by name, and what takes the rest."""
    if isinstance(function, ast.ClassDef):
        for part in function.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                return parameters(part)
        targets = [part.target for part in function.body if isinstance(part, ast.AnnAssign)]
        fields: dict[str, Key] = {each.id: (None, f".{each.id}") for each in targets if isinstance(each, ast.Name)}
        return [*fields.values()], fields, None
    assert isinstance(function, Function)  # noqa: S101 - what else has parameters
    arguments = function.args
    placed = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    named: dict[str, Key] = {name: (function, name) for name in (*placed, *(each.arg for each in arguments.kwonlyargs))}
    rest = (function, arguments.vararg.arg) if arguments.vararg is not None else None
    return [named[name] for name in placed[placed[:1] in (["self"], ["cls"]) :]], named, rest
