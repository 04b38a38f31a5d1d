"""What a run may spend, and what it has used."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tinyagent.core.door import door
from tinyagent.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may spend; `None` is no limit.

    Attributes:
        steps: Replies of the model, default 10. When they are used up the model is asked once more, without tools, for
            an answer.
        tokens: Input and output tokens together, checked before each model call.
        seconds: Wall time of the whole run.
    """

    steps: int | None = 10
    tokens: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None:
                continue
            kind, whole = (int | float, "") if item.name == "seconds" else (int, " It must be a whole number.")
            if isinstance(value, bool) or not isinstance(value, kind) or not value > 0:
                raise ConfigurationError(
                    f"Limits({item.name}={value!r}): pass a number above 0, or None for no limit.{whole}"
                )


Limits.__init__ = door("limits")(Limits.__init__)  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True)
class Usage:
    """Model calls and tokens, counted where the server reports them and never invented.

    Attributes:
        requests: Model calls that returned a reply.
        input_tokens: Tokens read, cached ones included.
        output_tokens: Tokens written, reasoning included.
        cached_tokens: The part of `input_tokens` that came from the provider's prompt cache.
        reasoning_tokens: The part of `output_tokens` spent on reasoning.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output tokens together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )
