"""The prompt of an agent: what its model is told first."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any, TypeAlias

from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError
from tinyagent.core.generics import Deps
from tinyagent.core.jsonable import error_text
from tinyagent.core.waiting import blaming

#: Text; a function of the run's `Context` (or of nothing) that gives it, also async; or a `string.Template`.
Instructions: TypeAlias = (
    "str | Template | Callable[[Context[Deps]], str | Awaitable[str]] | Callable[[], str | Awaitable[str]]"
)

#: The kinds of file that hold a prompt.
SUFFIXES = (".txt", ".md", ".prompt", ".xml")


class Prompt:
    """The instructions of an agent, in any of their forms.

    Text is taken as it is: braces and dollars are just braces and dollars. Only a `string.Template` has
    placeholders: `$name` becomes `metadata["name"]` of the run, else the key or attribute `name` of its `deps`.

    Args:
        instructions: Text, a template, or a function that is asked at the beginning of each run.
        prompt_file: A UTF-8 text file (.txt, .md, .prompt, .xml), read now.

    Attributes:
        fixed: The text, where it is the same for every run; else `None`.

    Raises:
        ConfigurationError: Both are given, or one is wrong; the text names the file.
    """

    def __init__(self, instructions: Instructions[Any] = "", prompt_file: str | Path | None = None) -> None:
        given: object = instructions
        if prompt_file is not None:
            if given != "":
                raise ConfigurationError("Pass instructions= or prompt_file=, not both.")
            instructions = _read(prompt_file)
        elif isinstance(given, Template) and not given.is_valid():
            raise ConfigurationError(
                "instructions=Template(...): it has a '$' that begins no placeholder. Write '$$' for a dollar, or "
                "pass plain text, which has no placeholders."
            )
        elif not isinstance(given, str | Template) and (isinstance(given, type) or not callable(given)):
            raise ConfigurationError(
                f"instructions={given!r}: pass text, a string.Template, or a function that returns text."
            )
        self._instructions = instructions
        self.fixed = instructions if isinstance(instructions, str) else None

    async def text(self, context: Context[Any]) -> str:
        """Return the text of the instructions for one run.

        Raises:
            ConfigurationError: A placeholder has no value, or the function failed or returned no text.
        """
        instructions = self._instructions
        if isinstance(instructions, str):
            return instructions
        if isinstance(instructions, Template):
            try:
                return instructions.substitute(_Values(context))
            except KeyError as missing:
                raise ConfigurationError(
                    f"The instructions have a placeholder ${missing.args[0]}, which has no value. Pass it to the run: "
                    f"metadata={{{missing.args[0]!r}: ...}}, or deps= with a key or attribute of that name."
                ) from None
            except Exception as error:
                text = f"The instructions could not be filled in: {error_text(error)}"
                raise ConfigurationError(text) from error
        return await _asked(instructions, context)


async def _asked(function: Callable[..., str | Awaitable[str]], context: Context[Any]) -> str:
    name = getattr(function, "__qualname__", repr(function))
    with blaming(ConfigurationError, f"instructions={name} failed:"):
        said: object = function(context) if _takes_context(function) else function()
        text = await said if inspect.isawaitable(said) else said
    if not isinstance(text, str):
        raise ConfigurationError(f"instructions={name} returned {type(text).__name__}; it must return text.")
    return text


def _takes_context(function: Callable[..., Any]) -> bool:
    """Return whether the function's first parameter takes the context: it must be given, or its annotation says so."""
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD):
        return False
    return first.default is first.empty or "Context" in str(first.annotation)


class _Values(Mapping[str, Any]):
    """The values that placeholders stand for, by name."""

    def __init__(self, context: Context[Any]) -> None:
        self._context = context

    def __getitem__(self, name: str) -> Any:
        deps = self._context.deps
        if name in self._context.metadata:
            return self._context.metadata[name]
        if isinstance(deps, Mapping):
            return deps[name]
        if hasattr(deps, name):
            return getattr(deps, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._context.metadata)

    def __len__(self) -> int:
        return len(self._context.metadata)


def _read(prompt_file: object) -> str:
    """Return the text of a prompt file.

    Raises:
        ConfigurationError: There is no such file, or it holds no text; the error names the file.
    """
    if not isinstance(prompt_file, str | Path) or prompt_file == "":
        raise ConfigurationError(f"prompt_file={prompt_file!r}: pass a path.")
    path = Path(prompt_file)
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"prompt_file={str(path)!r}: pass a file that ends in {', '.join(SUFFIXES)}.")
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(
            f"prompt_file={str(path)!r}: there is no such file (looked for {path.absolute()})."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"prompt_file={str(path)!r}: it is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"prompt_file={str(path)!r}: it cannot be read: {why}.") from error
    if not text.strip():
        raise ConfigurationError(f"prompt_file={str(path)!r}: it is empty.")
    return text
