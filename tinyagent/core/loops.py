"""The event loop that everything here needs: asyncio's."""

from __future__ import annotations

import asyncio
import sys

from tinyagent.core.errors import ConfigurationError


def asyncio_loop() -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio.

    Raises:
        ConfigurationError: None is running; the text names the library that runs instead (trio, for one).
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        other = _other_library()
    here = f"this is an event loop of {other}" if other else "no event loop is running here"
    raise ConfigurationError(
        f"tinyagent needs asyncio, and {here}. Await it inside asyncio.run(main()), or call "
        "tinyagent.run_sync(...) where nothing can be awaited."
    )


def _other_library() -> str | None:
    """The library whose event loop runs here; it has told `sniffio`, as such libraries do."""
    sniffio = sys.modules.get("sniffio")
    try:
        return str(sniffio.current_async_library()) if sniffio is not None else None
    except Exception:  # noqa: BLE001 - its own error for: none
        return None
