"""Serve a GGUF file with llama.cpp on a free port of this machine, and print its URL: `python llamacpp.py FILE`.

The server ends with its standard input, so also when its parent is killed. This file imports nothing of tinyagent.
"""

from __future__ import annotations

import importlib
import os
import sys


def serve(path: str) -> None:
    """Serve the GGUF file at `path` until standard input ends."""
    xllamacpp = importlib.import_module("xllamacpp")
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = 0  # the length that the model was trained for
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)  # threads spin: on busy cores more are slower
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.use_jinja = True
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # without waiting for the server's threads


if __name__ == "__main__":
    serve(sys.argv[1])
