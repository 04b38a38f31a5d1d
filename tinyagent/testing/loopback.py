"""`ScriptedServer`: an OpenAI-protocol server on loopback, scripted like `ScriptedModel`, over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tinyagent.core.errors import ScriptError
from tinyagent.core.messages import Reply
from tinyagent.models.openai import OpenAIModel
from tinyagent.testing.history import fault_of
from tinyagent.testing.script import CUT, Item, RawReply, RawStream, Script, as_reply

_HEAD = "HTTP/1.1 {status} {reason}\r\n{headers}\r\n"
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True, slots=True)
class ScriptedRequest:
    """A chat request as the `ScriptedServer` got it.

    Attributes:
        body: The JSON body.
        raw: The bytes of the body.
        headers: The headers; their names are in lower case.
        path: The path, with its query.
        number: The request's place in the order of arrival, from 1.
    """

    body: dict[str, Any]
    raw: bytes
    headers: Mapping[str, str]
    path: str
    number: int

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the request, in the form of the Chat Completions API."""
        messages: list[dict[str, Any]] = self.body.get("messages", [])
        return messages


class ScriptedServer:
    """A server on 127.0.0.1 that speaks the Chat Completions API, plain and streamed.

        async with ScriptedServer([call("add", a=2, b=3), "The sum is 5."]) as server:
            agent = ReactAgent([add], model=server.model())
            print(await agent.run("Add 2 and 3."))

    Leaving the block closes the server, and raises an AssertionError when replies are left over. A reply can
    misbehave in any way: see `RawReply` and `RawStream`.

    Args:
        replies: A list of replies (see `Item`), or one function from the `ScriptedRequest` to a reply.
        delay: Seconds before each reply, and between the pieces of a stream.
        strict: Whether to answer 400 to a history that a strict provider would reject.

    Attributes:
        requests: Every chat request, in order.
    """

    def __init__(
        self, replies: Iterable[Item] | Callable[..., Any], *, delay: float = 0.0, strict: bool = True
    ) -> None:
        self.requests: list[ScriptedRequest] = []
        self._script = Script(replies)
        self._delay = delay
        self._strict = strict
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()
        self._ids = itertools.count(1)

    @property
    def url(self) -> str:
        """The base URL of the server, ending in `/v1`; a RuntimeError while it is not running."""
        if self._server is None:
            raise RuntimeError("The server is not running. Use: async with ScriptedServer([...]) as server: ...")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    def model(self, name: str = "scripted", **options: Any) -> OpenAIModel:
        """Return an `OpenAIModel` that talks to this server; `options` are those of `OpenAIModel`."""
        return OpenAIModel(name, base_url=self.url, api_key="scripted", **options)

    def assert_all_used(self) -> None:
        """Raise an error when replies are left over.

        Raises:
            AssertionError: Replies are left over; the text names the first of them.
        """
        self._script.assert_all_used()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=4096)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        if server is not None:
            await server.wait_closed()
        if kind is None:
            self.assert_all_used()

    # ---- HTTP

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None  # noqa: S101 - start_server runs this in a task
        self._handlers.add(handler)
        try:
            while await self._serve(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the server closes
        finally:
            self._handlers.discard(handler)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request, and return whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        path = target.partition("?")[0]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        if method == "GET" and path.endswith("/models"):
            answer: Item = RawReply({"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        elif method == "POST" and path.endswith("/chat/completions"):
            answer = await self._answer(raw, headers, target)
        else:
            answer = _error(404, f"There is no {method} {target} here.")
        return await self._send(writer, answer)

    async def _answer(self, raw: bytes, headers: Mapping[str, str], path: str) -> Item:
        try:
            body = json.loads(raw)
        except ValueError as error:
            return _error(400, f"The request is not JSON: {error}")
        request = ScriptedRequest(body, raw, headers, path, len(self.requests) + 1)
        self.requests.append(request)
        if self._strict and (fault := fault_of(body)):
            return _error(400, fault)
        try:
            item = await self._script.next(request)
        except ScriptError as error:
            return _error(400, str(error))
        except Exception as error:  # noqa: BLE001 - a test is told that its script failed
            return _error(400, f"The script failed: {type(error).__name__}: {error}")
        if isinstance(item, BaseException):
            return _error(400, f"{item!r} can only be raised by a ScriptedModel; use RawReply(status=...).")
        if self._delay:
            await asyncio.sleep(self._delay)
        if isinstance(item, RawReply | RawStream):
            return item
        reply = as_reply(item)
        if body.get("stream"):
            usage = (body.get("stream_options") or {}).get("include_usage")
            return RawStream(self._chunks(reply, usage=_usage(reply, raw) if usage else None))
        return RawReply(self._completion(reply, _usage(reply, raw)))

    async def _send(self, writer: asyncio.StreamWriter, answer: Item) -> bool:
        if isinstance(answer, RawStream):
            return await self._send_stream(writer, answer)
        assert isinstance(answer, RawReply)  # noqa: S101 - `_answer` makes nothing else
        if answer.delay:
            await asyncio.sleep(answer.delay)
        body = answer.body
        body = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
        writer.write(_head(answer.status, headers) + body)
        await writer.drain()
        return headers.get("connection") != "close"

    async def _send_stream(self, writer: asyncio.StreamWriter, answer: RawStream) -> bool:
        headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **answer.headers}
        writer.write(_head(answer.status, headers))
        for part in answer.parts:
            if part is CUT:
                writer.transport.abort()
                return False
            if isinstance(part, int | float):
                await writer.drain()
                await asyncio.sleep(part)
                continue
            data = f"data: {json.dumps(part)}\n\n" if isinstance(part, dict) else part
            data = data if isinstance(data, bytes) else data.encode()
            if data:
                writer.write(b"%x\r\n%s\r\n" % (len(data), data))
                await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    # ---- the Chat Completions API

    def _envelope(self, kind: str, choice: Mapping[str, Any] | None) -> dict[str, Any]:
        choices = [] if choice is None else [{"index": 0, "logprobs": None, **choice}]
        return {
            "id": f"chatcmpl-{next(self._ids)}",
            "object": kind,
            "created": 0,
            "model": "scripted",
            "choices": choices,
        }

    def _completion(self, reply: Reply, usage: dict[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if reply.calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.raw}}
                for call in reply.calls
            ]
        choice = {"message": message, "finish_reason": reply.finish_reason}
        return {**self._envelope("chat.completion", choice), "usage": usage}

    def _chunks(self, reply: Reply, usage: dict[str, Any] | None) -> Iterable[Any]:
        def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
            return self._envelope("chat.completion.chunk", {"delta": delta, "finish_reason": finish})

        pause: list[Any] = [self._delay] if self._delay else []
        yield chunk({"role": "assistant", "content": None if reply.calls else ""})
        for word in re.findall(r"\s*\S+\s*", reply.reasoning):
            yield chunk({"reasoning_content": word})
            yield from pause
        for word in re.findall(r"\s*\S+\s*", reply.text):
            yield chunk({"content": word})
            yield from pause
        for index, call in enumerate(reply.calls):
            function: dict[str, Any] = {"name": call.name, "arguments": ""}
            yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
            half = len(call.raw) // 2
            for part in (call.raw[:half], call.raw[half:]):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
            yield from pause
        yield chunk({}, reply.finish_reason)
        if usage is not None:
            yield {**self._envelope("chat.completion.chunk", None), "usage": usage}
        yield "data: [DONE]\n\n"


def _error(status: int, message: str) -> RawReply:
    return RawReply({"error": {"message": message, "type": "invalid_request_error", "code": None}}, status)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return _HEAD.format(status=status, reason=_REASONS.get(status, "Error"), headers=lines).encode("latin-1")


def _usage(reply: Reply, raw: bytes) -> dict[str, Any]:
    """Return the usage that the reply tells, or else a count of words, which are this server's tokens."""
    if reply.usage.total_tokens:
        read, written = reply.usage.input_tokens, reply.usage.output_tokens
    else:
        read = len(raw.split())
        written = len(reply.text.split()) + sum(len(call.raw.split()) + 1 for call in reply.calls)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": reply.usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": reply.usage.reasoning_tokens},
    }
