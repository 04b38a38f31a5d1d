"""A server of the standard library alone, of revision 2025-06-18, that can misbehave: `python raw.py MODE [...]`.

It lists its tools in pages, logs what it is told to standard error, and starts in a moment.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

TOOLS = [
    {
        "name": "find-things.v2",
        "description": "Find things.",
        "inputSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "max-results": {"type": "integer", "minimum": 1, "default": 10, "description": "How many."},
                "class": {"type": "string"},
                "from": {"type": ["string", "null"]},
                "self": {"type": "number"},
                "context": {"enum": ["a", "b", None]},
                "query": {"type": "string"},
            },
            "required": ["query", "class"],
        },
    },
    {"name": "find_things_v2", "inputSchema": {"type": "object"}},
    {"name": "find/things/v2", "inputSchema": {"type": "object", "additionalProperties": True}},
    {
        "name": "repeat",
        "inputSchema": {"type": "object", "additionalProperties": True},
        "annotations": {"title": "May be repeated", "idempotentHint": True},
    },
]
TASKS = [
    {"name": "tasks", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "required"}},
    {"name": "no_tasks", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "optional"}},
]
EXTRA = {"name": "late", "inputSchema": {"type": "object"}}


def write(**message) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(value) -> dict:
    return {"content": [{"type": "text", "text": value if isinstance(value, str) else json.dumps(value)}]}


#: What it answers, and writes, when it is asked to.
ANSWERS = {
    "wait": None,
    "refuse": {"code": -32000, "message": "I do not want to"},
    "nonsense": {"content": 5},
    "error": {"content": [], "isError": True},
    "base64": {"content": [{"type": "image", "mimeType": "image/png", "data": "A"}]},
}
FORM = {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}
MESSAGES = {
    "ask": {"id": "q1", "method": "elicitation/create", "params": FORM},
    "log": {"method": "notifications/message", "params": {"level": "error", "data": "a log message"}},
}


class Server:
    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.tools = [*TOOLS, *TASKS] if mode == "tasks" else list(TOOLS)
        self.notes: list[str] = []

    def hear(self, message: dict) -> None:
        method, request = message.get("method"), message.get("id")
        if request is None or method is None:
            self.notes.append(method or message["error"]["message"])
            return
        answer = getattr(self, method.replace("/", "_"), None)
        if answer is None:
            write(id=request, error={"code": -32601, "message": "Method not found"})
        elif (result := answer(message.get("params", {}))) is not None:
            write(id=request, **({"error": result} if "code" in result else {"result": result}))

    def initialize(self, params: dict) -> dict | None:
        if self.mode in ("silent", "chatty"):
            return None
        if self.mode == "refuse":
            return {"code": -32000, "message": "not today"}
        if self.mode == "quits":
            print("I give up.", file=sys.stderr, flush=True)
            os._exit(3)
        capabilities = {} if self.mode == "toolless" else {"tools": {"listChanged": True}}
        about = {"name": "raw", "version": "1"}
        return {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": about}

    def tools_list(self, params: dict) -> dict:
        if self.mode == "unlisted":
            return {"code": -32000, "message": "no list today"}
        at = int(params.get("cursor", 0))
        page = {"tools": self.tools[at : at + 1]}
        return {**page, "nextCursor": str(at + 1)} if at + 1 < len(self.tools) or self.mode == "endless" else page

    def tools_call(self, params: dict) -> dict | None:
        name, arguments = params["name"], params.get("arguments", {})
        do = arguments.get("do")
        if do == "die":
            os._exit(1)
        if do in ANSWERS:
            return ANSWERS[do]
        if do == "die once":
            try:
                Path(arguments["path"]).touch(exist_ok=False)
            except FileExistsError:
                return text("survived")
            os._exit(1)
        if do in ("notes", "pid", "environment"):
            return text(
                {"notes": self.notes, "pid": os.getpid(), "environment": {**os.environ, "cwd": str(Path.cwd())}}[do]
            )
        if do in MESSAGES:
            write(**MESSAGES[do])
            return text("written")
        if do == "add":
            self.tools = [*TOOLS, EXTRA]
            write(method="notifications/tools/list_changed")
            return text("changed")
        if do == "break":
            self.mode = "unlisted"
            write(method="notifications/tools/list_changed")
            return text("broken")
        return text({"name": name, "arguments": arguments})


def main(mode: str) -> None:
    if mode == "deaf":  # takes no hint that it should end
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "once":
        try:
            Path(sys.argv[2]).touch(exist_ok=False)
        except FileExistsError:
            sys.exit("only once")
    if mode in ("garbage", "chatty"):
        print("Welcome to this server!\n{}\n[1, 2", flush=True)
    if mode == "loud":
        print("x" * 100_000 + "\nthe last words", file=sys.stderr, flush=True)
    server = Server(mode)
    for line in sys.stdin:
        server.hear(json.loads(line))
    if mode == "deaf":
        while True:
            time.sleep(1)


main(sys.argv[1] if len(sys.argv) > 1 else "")
