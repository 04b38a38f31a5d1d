"""Measure what `web_browse` makes of HTML.

    python benchmarks/converters.py [--rounds 5] [--hostile-only | --kept-only] [--html FILE ...]

Everyday pages are made by this script; `--html` adds files of your own. They are converted in this process, and by
the worker process (its time is given too). Hostile pages (`tests/tools/web/hostile.py`, 2 MB each) are served on the loopback
interface and read by `web_browse`; meanwhile a task wakes every 2 ms and records the longest that it overslept: how long
the event loop stood still.
"""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
URL = "https://example.org/a/b.html"


# -- everyday pages: each with how many code blocks, table rows, links, list items and headings it has

NAVIGATION = "<nav>" + "".join(f'<a href="/menu/{n}">Menu {n}</a>' for n in range(40)) + "</nav>"
WORDS = "The event loop runs callbacks one after the other, and a coroutine gives way wherever it awaits. "


def manual():
    """A page of reference documentation, as Sphinx writes them."""
    parts = []
    for n in range(60):
        parts.append(
            f'<section id="f{n}"><h2>function_{n}<a class="headerlink" href="#f{n}">¶</a></h2>'
            f'<dl class="py function"><dt class="sig"><span class="pre">function_{n}</span>(<em>a</em>, <em>b=None</em>)</dt>'
            f'<dd><p>{WORDS * 3}See <a class="reference internal" href="other.html#f{n}"><code>other_{n}()</code></a>.</p>'
            '<div class="highlight-python3 notranslate"><div class="highlight"><pre><span></span><span class="k">def</span> '
            f'<span class="nf">f{n}</span>(a):\n    <span class="k">return</span> a &lt; {n}\n</pre></div></div>'
            "<ul><li><p>one</p></li><li><p>two</p><ul><li>inner</li></ul></li></ul></dd></dl></section>"
        )
    page = f"<!doctype html><html><head><title>Manual</title><style>p{{}}</style></head><body>{NAVIGATION}<main><h1>Manual</h1>"
    return page + "".join(parts) + "</main><footer>imprint</footer></body></html>", (60, 0, 60, 180, 61)


def data():
    """A page of tables, as an encyclopedia has them."""
    rows = "".join(
        f'<tr><th scope="row"><a href="/wiki/Town_{n}">Town {n}</a></th><td>{n * 1000:,}</td><td>{n}<br>km²</td><td>a | b</td></tr>'
        for n in range(400)
    )
    page = (
        f"<html><head><title>Towns</title></head><body>{NAVIGATION}<div role=main><h1>Towns</h1><p>{WORDS * 5}</p>"
        f"<table><caption>Towns</caption><tr><th>Name<th>People<th>Area<th>More</tr>{rows}</table></div></body></html>"
    )
    return page, (0, 401, 400, 0, 1)


def home():
    """A home page: links, and hardly a sentence."""
    cards = "".join(
        f'<div class="card"><a href="/story/{n}"><img alt="picture {n}" src="data:image/png;base64,{"A" * 400}"><h3>Story number {n}</h3></a>'
        f'<p>{WORDS}</p></div>'
        for n in range(250)
    )
    return f"<html><head><title>News</title></head><body>{NAVIGATION}{cards}<footer>imprint</footer></body></html>", (0, 0, 250, 0, 250)


def article():
    """A long article with quotes, and much around it that is not meant to be read."""
    body = "".join(
        f"<h2>Part {n}</h2>" + f"<p>{WORDS * 8}<a href='part{n}.html'>more</a> <b>bold</b></p>" * 4 + "<blockquote><p>quoted</p></blockquote>"
        for n in range(40)
    )
    hidden = "<div hidden>" + "hidden " * 50 + "</div><script>" + "var x = '<p>';" * 3000 + "</script>"
    page = f"<html><head><title>Essay</title></head><body>{NAVIGATION}{hidden}<aside>ads</aside><article><h1>Essay</h1>{body}</article></body></html>"
    return page, (0, 0, 160, 0, 41)


PAGES = {"manual": manual, "tables": data, "home page": home, "article": article}
KINDS = ("code blocks", "table rows", "links", "list items", "headings")


def count(text):
    """How many of each kind a text in markdown has."""
    inside, found = False, [0, 0, 0, 0, 0]
    for line in text.splitlines():
        bare = line.strip(" :>")
        if bare.startswith("```"):
            inside = not inside
            found[0] += inside
        elif not inside:
            found[1] += bare.startswith("|") and not bare.startswith("| ---")
            found[3] += bare.startswith("- ")
            found[4] += bare.startswith("#")
            found[2] += line.count("](http")
    return found


async def measure_kept(rounds, files):
    """Time, and what is kept, of each everyday page."""
    from tinyagent.tools.http import Fetched
    from tinyagent.tools.web.markdown import to_markdown
    from tinyagent.tools.web.reading import read

    pages = {name: make() for name, make in PAGES.items()}
    pages |= {Path(file).name: (Path(file).read_text(errors="replace"), None) for file in files}
    begun = time.perf_counter()
    await read(Fetched(URL, 200, {}, b"<p>first"), "html", 30)
    print(f"first page, with the start of the process: {(time.perf_counter() - begun) * 1000:.0f} ms")
    print("\n| page | MB | ms | ms/MB | ms, worker |", " | ".join(KINDS), "| seen though left out |")
    print("|---" * (6 + len(KINDS)) + "|")
    for name, (page, expected) in pages.items():
        times, asked = [], []
        for number in range(rounds):
            begun = time.perf_counter()
            _, text = to_markdown(page, URL)
            times.append(time.perf_counter() - begun)
            body = Fetched(f"{URL}?{number}", 200, {"content-type": "text/html; charset=utf-8"}, page.encode())
            begun = time.perf_counter()
            await read(body, "html", 30)
            asked.append(time.perf_counter() - begun)
        leaked = [word for word in ("hidden ", "imprint", "Menu 7", "var x", "base64", "¶") if expected and word in text]
        megabytes, ms = len(page) / 1e6, statistics.median(times) * 1000
        kept = " | ".join(
            str(n) if all_ is None else f"{n}/{all_}" if all_ or n else ""
            for n, all_ in zip(count(text), expected or [None] * len(KINDS))
        )
        print(f"| {name} | {megabytes:.2f} | {ms:.1f} | {ms / megabytes:.0f} | {statistics.median(asked) * 1000:.1f} | {kept} | {', '.join(leaked)} |")


async def measure_hostile():
    """Seconds, the loop's longest pause and the size of what comes out, of each hostile page."""
    from tests.tools.servers import serve
    from tests.tools.web.hostile import pages
    from tinyagent.tools.builtin.web_browse import WebBrowser

    hostile = {name: page.encode() for name, page in pages().items()}
    names = ["warm up", *hostile]
    hostile["warm up"] = b"<p>a"

    async def site(scope, receive, send):
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": hostile[names[int(scope["path"][1:])]]})

    browse = WebBrowser(allow=["127.0.0.1"]).web_browse
    slowest = longest = 0.0
    print("\n| hostile page, 2 MB | s | longest pause, ms | characters |\n|---|---|---|---|")
    async with serve(site) as url:
        for number, name in enumerate(names):
            pauses = [0.0]
            watcher = asyncio.create_task(watch(pauses))
            await asyncio.sleep(0.02)
            begun = time.perf_counter()
            try:
                outcome = (await browse(f"{url}/{number}")).total
            except Exception as error:
                outcome = f"{type(error).__name__}: {error}"[:60]
            seconds = time.perf_counter() - begun
            await asyncio.sleep(0.01)
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher
            if number:
                print(f"| {name} | {seconds:.2f} | {max(pauses) * 1000:.0f} | {outcome} |", flush=True)
                slowest, longest = max(slowest, seconds), max(longest, *pauses)
    used = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"\nSlowest {slowest:.1f} s, longest pause {longest * 1000:.0f} ms, this process {used[0]:.0f} MB, workers that ended {used[1]:.0f} MB.")


async def watch(pauses):
    """Record how much longer than asked for the loop lets a task sleep."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.002)
        pauses.append(time.perf_counter() - begun - 0.002)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--html", nargs="*", default=[], metavar="FILE")
    parser.add_argument("--hostile-only", action="store_true")
    parser.add_argument("--kept-only", action="store_true")
    options = parser.parse_args()
    if not options.hostile_only:
        asyncio.run(measure_kept(options.rounds, options.html))
    if not options.kept_only:
        asyncio.run(measure_hostile())


if __name__ == "__main__":
    main()
