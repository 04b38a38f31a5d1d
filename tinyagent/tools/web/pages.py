"""Pages in a worker process: from the bytes that a server has sent to a title and markdown.

The process is locked and may be killed, since turbohtml, which reads the pages, is C that strangers feed.
"""

from __future__ import annotations

from typing import Any

from tinyagent.tools.web.charset import decode, load_codecs
from tinyagent.tools.web.markdown import to_markdown

#: A page with whatever is read in a way of its own, so that all of it has been used before nothing can be opened.
_SAMPLE = (
    "<title>a</title><base href=/><nav>b</nav><h1>c<sup>2</sup></h1><p style='left:0' hidden>d</p><button>e</button>"
    "<p>日\n本 <code>f</code><b>g</b> <a href=h>i</a><img alt=j><ul><li>k<ol><li>l</ol></ul><dl><dd>m</dl><pre>n</pre>"
    "<blockquote>o</blockquote><table><tr><th>p<td rowspan=2>q<tr><td><p>r<p>s</table><table role=none><tr>"
    "<td>t</table>"
)


def prepare() -> None:
    """Load all that pages need."""
    load_codecs()
    to_markdown(_SAMPLE, "https://example.org/")


def answer(request: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the page's title, and its text.

    Args:
        request: `url`, `charset` and `truncated`; see `reading.Body`.
        content: The page.
    """
    page = decode(content, request["charset"], truncated=request["truncated"])
    title, text = to_markdown(page, request["url"])
    return {"title": title}, text.encode(errors="replace")
