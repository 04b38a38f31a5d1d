"""A server on 127.0.0.1 in the shape of each search provider and of the Jina reader. It checks what it is asked.

    async with SearchServer() as server:
        search = WebSearch("brave", api_key=KEY, url=server.url)
        print(await search.web_search("oslo"))

Each route answers as its provider documents, from `PAGES`, and answers 400 with the reason to a request that is not as
documented. `server.answer` replaces that for one test: an `Answer`, a list of them in turn, or a function.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

#: The key that every route takes, and one that it rejects.
KEY, BAD_KEY = "sk-good-key-123", "sk-wrong-key-456"


@dataclass(frozen=True)
class Page:
    """A page of the pretended web."""

    title: str
    url: str
    text: str
    date: str


PAGES = [
    Page(
        f"Page {number} of Oslo",
        f"https://example.org/oslo/{number}",
        f"Text {number} on Oslo.",
        f"2026-10-{number:02}",
    )
    for number in range(1, 31)
]


@dataclass(frozen=True)
class Request:
    """A request as the server got it; names of headers in lower case."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    def fault(self, method: str, path: str, *, json_body: bool = False) -> str | None:
        """What is wrong with it, if it is not as documented."""
        if (self.method, self.path) != (method, path):
            return f"{self.method} {self.path} in place of {method} {path}"
        if json_body and (self.headers.get("content-type") != "application/json" or not isinstance(self.body, dict)):
            return "the body is no JSON object"
        return None


@dataclass(frozen=True)
class Answer:
    """What to send back: JSON data, or text or bytes as they are. `wait` is awaited before, `cut` breaks it off."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: Callable[[], Awaitable[Any]] | None = None
    cut: bool = False


class SearchServer:
    """The server.

    Attributes:
        requests: Every request, in order.
        answer: What to answer instead: an `Answer`, a list of them in turn, or a function of the request.
        most_at_once: The most requests that were under way at the same time.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Answer | list[Answer] | Callable[[Request], Answer] | None = None
        self.most_at_once = 0
        self._at_once = 0
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL, for every provider."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        """The last request."""
        return self.requests[-1]

    async def __aenter__(self) -> SearchServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the server closes
        finally:
            self._handlers.discard(handler)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        with contextlib.suppress(ValueError):
            raw = json.loads(raw)
        request = Request(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers, raw or None)
        self.requests.append(request)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = self._answer_to(request)
            if answer.wait:
                await answer.wait()
            else:
                await asyncio.sleep(0)
        finally:
            self._at_once -= 1
        return await self._send(writer, answer)

    def _answer_to(self, request: Request) -> Answer:
        if isinstance(self.answer, list):
            return self.answer.pop(0)
        if isinstance(self.answer, Answer):
            return self.answer
        return (self.answer or _by_path)(request)

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> bool:
        body = answer.body
        if not isinstance(body, bytes):
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **answer.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} Status\r\n{head}\r\n".encode() + body[: 10 if answer.cut else None])
        await writer.drain()
        return not answer.cut


# ---- each provider, as it documents itself


def tavily(request: Request) -> Answer:
    """https://docs.tavily.com/documentation/api-reference/endpoint/search, https://docs.tavily.com/documentation/keyless"""
    fault = request.fault("POST", "/search", json_body=True)
    body = request.body if isinstance(request.body, dict) else {}
    if not fault and body.get("time_range", "day") not in ("day", "week", "month", "year"):
        fault = f"time_range is {body['time_range']!r}"
    if fault or not 0 <= body["max_results"] <= 20:
        return Answer({"detail": {"error": fault or "max_results is not between 0 and 20"}}, 400)
    key = request.headers.get("authorization")
    keyless = request.headers.get("x-tavily-access-mode") == "keyless"
    if keyless == (key is not None) or (key is not None and key != f"Bearer {KEY}"):
        return Answer({"detail": {"error": "Unauthorized: missing or invalid API key."}}, 401)
    found = [
        {"title": page.title, "url": page.url, "content": page.text, "score": 0.9, "raw_content": None}
        for page in PAGES[: body["max_results"]]
    ]
    return Answer({"query": body["query"], "answer": None, "images": [], "results": found, "response_time": 0.9})


def brave(request: Request) -> Answer:
    """https://api-dashboard.search.brave.com/api-reference/web/search/get"""
    params = request.params
    fault = request.fault("GET", "/res/v1/web/search")
    if not fault and params.get("freshness", "pd") not in ("pd", "pw", "pm", "py"):
        fault = f"freshness is {params['freshness']!r}"
    if fault or not 1 <= int(params["count"]) <= 20:
        detail = {"code": "VALIDATION", "detail": fault or "Unable to validate request parameter(s)", "status": 422}
        return Answer({"type": "ErrorResponse", "error": detail}, 422)
    if request.headers.get("x-subscription-token") != KEY:
        detail = {"code": "SUBSCRIPTION_TOKEN_INVALID", "detail": "The provided subscription token is invalid."}
        return Answer({"type": "ErrorResponse", "error": detail, "time": 1663072993}, 422)
    found = [
        {
            "title": page.title,
            "url": page.url,
            "description": page.text.replace("Oslo", "<strong>Oslo</strong> &amp; around"),
            "page_age": f"{page.date}T10:00:00",
            "age": "last month",
        }
        for page in PAGES[: int(params["count"])]
    ]
    return Answer({"type": "search", "query": {"original": params["q"]}, "web": {"type": "search", "results": found}})


def exa(request: Request) -> Answer:
    """https://exa.ai/docs/reference/search"""
    fault = request.fault("POST", "/search", json_body=True)
    if fault:
        return Answer({"requestId": "r1", "error": fault, "tag": "INVALID_REQUEST_BODY"}, 400)
    if request.headers.get("x-api-key") != KEY:
        return Answer({"requestId": "r1", "error": "Invalid API key", "tag": "INVALID_API_KEY"}, 401)
    found = [
        {
            "id": page.url,
            "title": page.title,
            "url": page.url,
            "publishedDate": f"{page.date}T01:36:32.547Z",
            "author": None,
            "highlights": [page.text, "More of it."],
        }
        for page in PAGES[: request.body["numResults"]]
    ]
    return Answer({"requestId": "r1", "results": found, "searchType": "auto", "costDollars": {"total": 0.005}})


def serper(request: Request) -> Answer:
    """https://serper.dev/playground"""
    if fault := request.fault("POST", "/search", json_body=True):
        return Answer({"message": fault, "statusCode": 400}, 400)
    if request.headers.get("x-api-key") != KEY:
        return Answer({"message": "Unauthorized.", "statusCode": 403}, 403)
    found = [
        {"title": page.title, "link": page.url, "snippet": page.text, "date": "2 days ago", "position": number}
        for number, page in enumerate(PAGES[: request.body["num"]], 1)
    ]
    return Answer({"searchParameters": {"q": request.body["q"], "type": "search"}, "organic": found, "credits": 1})


def searxng(request: Request) -> Answer:
    """https://docs.searxng.org/dev/search_api.html"""
    if request.fault("GET", "/search") or request.params.get("format") != "json":
        return Answer("<!doctype html><title>403 Forbidden</title>", 403, {"content-type": "text/html"})
    found = [
        {
            "url": page.url,
            "title": page.title,
            "content": page.text,
            "engines": ["brave"],
            "publishedDate": f"{page.date}T00:00:00",
        }
        for page in PAGES[:20]
    ]
    empty: dict[str, list[Any]] = {"answers": [], "corrections": [], "infoboxes": [], "unresponsive_engines": []}
    return Answer({"query": request.params["q"], "number_of_results": 0, "results": found, **empty})


def jina(request: Request) -> Answer:
    """https://github.com/jina-ai/reader (the URL after the path, or in the body of a POST; JSON mode)"""
    url = request.body.get("url") if request.method == "POST" and request.path == "/" else request.path[1:]
    if request.headers.get("authorization", f"Bearer {KEY}") != f"Bearer {KEY}":
        return _jina_failure(401, "AuthenticationFailedError", "Invalid API key, please get a new one.")
    if request.headers.get("accept") != "application/json" or not str(url).startswith(("http://", "https://")):
        return _jina_failure(400, "ParamValidationError", "Invalid URL")
    text = "\n\n".join(f"Paragraph {number} of the page." for number in range(1, 1001))
    data = {"title": "Oslo", "description": "", "url": url, "content": text, "usage": {"tokens": 12}}
    return Answer({"code": 200, "status": 20000, "data": data})


def _jina_failure(status: int, name: str, message: str) -> Answer:
    said = {"code": status, "name": name, "status": status * 100, "message": message, "readableMessage": message}
    return Answer({"data": None, **said}, status)


def _by_path(request: Request) -> Answer:
    """The provider that is meant, by what it is asked."""
    if request.path.startswith("/res/"):
        return brave(request)
    if request.method == "GET":
        return searxng(request) if request.path == "/search" else jina(request)
    if request.path == "/":
        return jina(request)
    body = request.body if isinstance(request.body, dict) else {}
    return serper(request) if "q" in body else exa(request) if "numResults" in body else tavily(request)
