"""Measure what `web_browse` makes of HTML: with html-to-markdown (extra `[web]`), and with our own converter.

    python benchmarks/converters.py [--rounds 5] [--hostile-only | --kept-only] [--html FILE ...]

Everyday pages are made by this script; `--html` adds files of your own. Hostile pages (`tests/tools/web/hostile.py`, 2 MB
each) are served on the loopback interface and read by `web_browse`; meanwhile a task wakes every 2 ms and records the
longest that it overslept: how long the event loop stood still. Each converter runs in a process of its own.
"""
from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
CONVERTERS = {"library": "html-to-markdown", "own": "our own"}


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


def measure_kept(rounds, files):
    """Time, and what is kept, of each everyday page."""
    from tinyagent.tools.web.converter import convert

    results = {}
    pages = {name: make() for name, make in PAGES.items()}
    pages |= {Path(file).name: (Path(file).read_text(errors="replace"), None) for file in files}
    for name, (page, expected) in pages.items():
        times = []
        for _ in range(rounds):
            begun = time.perf_counter()
            _, text = convert(page, "https://example.org/a/b.html")
            times.append(time.perf_counter() - begun)
        leaked = [word for word in ("hidden ", "imprint", "Menu 7", "var x", "base64", "¶") if expected and word in text]
        results[name] = {
            "characters": len(page), "seconds": statistics.median(times), "kept": count(text), "of": expected,
            "leaked": leaked, "out": len(text),
        }
    return results


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

    browse, results = WebBrowser(allow=["127.0.0.1"]).web_browse, {}
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
            results[name] = {"seconds": seconds, "pause": max(pauses), "outcome": outcome}
    del results["warm up"]
    return {"pages": results, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


async def watch(pauses):
    """Record how much longer than asked for the loop lets a task sleep."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(0.002)
        pauses.append(time.perf_counter() - begun - 0.002)


def report_kept(results):
    print("\n| page | MB | converter | ms | ms/MB |", " | ".join(KINDS), "| seen though left out |")
    print("|---" * (6 + len(KINDS)) + "|")
    for name in results["own"]:
        for converter, title in CONVERTERS.items():
            row = results[converter][name]
            megabytes = row["characters"] / 1e6
            of = row["of"] or [None] * len(KINDS)
            kept = " | ".join(str(n) if all_ is None else f"{n}/{all_}" if all_ or n else "" for n, all_ in zip(row["kept"], of))
            ms = row["seconds"] * 1000
            print(f"| {name} | {megabytes:.2f} | {title} | {ms:.0f} | {ms / megabytes:.0f} | {kept} | {', '.join(row['leaked'])} |")


def report_hostile(results):
    print("\n| hostile page, 2 MB | " + " | ".join(f"{title}: s | longest pause, ms | characters" for title in CONVERTERS.values()), "|")
    print("|---" * (1 + 3 * len(CONVERTERS)) + "|")
    for name in results["own"]["pages"]:
        cells = []
        for converter in CONVERTERS:
            row = results[converter]["pages"][name]
            cells.append(f"{row['seconds']:.2f} | {row['pause'] * 1000:.0f} | {row['outcome']}")
        print(f"| {name} | {' | '.join(cells)} |")
    for converter, title in CONVERTERS.items():
        rows = results[converter]["pages"].values()
        print(
            f"\n{title}: slowest {max(row['seconds'] for row in rows):.1f} s, longest pause "
            f"{max(row['pause'] for row in rows) * 1000:.0f} ms, largest process {results[converter]['megabytes']:.0f} MB."
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--html", nargs="*", default=[], metavar="FILE")
    parser.add_argument("--hostile-only", action="store_true")
    parser.add_argument("--kept-only", action="store_true")
    parser.add_argument("--worker", choices=CONVERTERS, help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=["kept", "hostile"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        if options.worker == "own":
            sys.modules["html_to_markdown"] = None
        kept = options.measure == "kept"
        print(json.dumps(measure_kept(options.rounds, options.html) if kept else asyncio.run(measure_hostile())))
        return
    for measure, report, skipped in (("kept", report_kept, options.hostile_only), ("hostile", report_hostile, options.kept_only)):
        if skipped:
            continue
        results = {}
        for converter in CONVERTERS:
            command = [sys.executable, __file__, "--worker", converter, "--measure", measure, "--rounds", str(options.rounds)]
            done = subprocess.run([*command, "--html", *options.html], capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            results[converter] = json.loads(done.stdout)
        report(results)


if __name__ == "__main__":
    main()
