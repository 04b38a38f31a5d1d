"""Pages that converters of HTML stumble over: deep, long, unclosed, or full of what takes time."""

URL = "https://example.org/a/b.html"


def pages(characters=2_000_000):
    """Hostile pages by name, cut to so many characters."""
    return {name: page[:characters] for name, page in _pages(characters / 2_000_000).items()}


def _pages(scale):
    def times(text, count):
        return text * max(1, int(count * scale))

    return {
        "nested div": times("<div>", 100_000) + "deep" + times("</div>", 100_000),
        "nested div, unclosed": times("<div>", 200_000) + "deep",
        "nested ul li": times("<ul><li>x", 50_000) + times("</ul>", 50_000),
        "nested ul li p pre": times("<ul><li><p>x<pre>y", 100_000),
        "nested blockquote": times("<blockquote>x", 50_000),
        "nested table": times("<table><tr><td>x", 50_000),
        "nested dl": times("<dl><dd>x", 100_000),
        "nested em a": times("<em>x <a href=y>", 100_000),
        "attributes": "<p " + " ".join(f"a{number}=b" for number in range(int(300_000 * scale))) + ">text</p>",
        "long attribute": '<p title="' + times("x", 1_900_000) + '">text</p>',
        "long style": '<p style="' + times("color:red;", 190_000) + '">text</p>',
        "unclosed quote": times('<a "', 400_000),
        "unclosed a": times('<a href="x" ', 200_000),
        "links": times('<a href="x">y', 200_000),
        "many links": times("<p><a href='http://x.example/?a=b'>text</a> ", 40_000),
        "unclosed comments": times("<!-- ", 400_000),
        "unclosed textarea": times("<textarea>", 200_000),
        "unclosed script": times("<script>", 200_000),
        "unclosed title": times("<title>", 250_000),
        "script end tags": "<script>" + times("</", 900_000),
        "less than": times("<", 1_000_000),
        "ampersands": times("&", 1_000_000),
        "references": times("&amp;", 400_000),
        "long references": "&#" + times("9", 900_000) + ";&#x" + times("9", 500_000) + ";" + times("&notit;", 80_000),
        "unknown references": times("&zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 60_000),
        "closing p": times("</p>", 500_000),
        "data URI": '<img alt="x" src="data:image/png;base64,' + times("A", 1_900_000) + '">after',
        "paragraphs": times("<p>", 600_000),
        "bold": times("<b>", 600_000) + "x",
        "bold, misnested": times("<b><i>x</b></i>", 130_000),
        "cells": "<table><tr>" + times("<td>|", 300_000),
        "rows": "<table>" + times("<tr><td>1<td>2", 120_000),
        "wide spans": "<table><tr>" + times("<td colspan=1000 rowspan=1000>x", 60_000),
        "tall spans": "<table>" + times("<tr><td rowspan=1000000>x", 75_000),
        "options": "<select>" + times("<option>x", 200_000),
        "definitions": times("<dl><dt>x<dd>y</dl>", 100_000),
        "forms": times("<form><input>", 150_000),
        "navigation": times("<nav><a href=x>y</a>", 90_000),
        "hidden": times("<p hidden>x<span style='display:none'>y", 50_000),
        "headings": times("<h1>x", 300_000),
        "breaks": times("x<br>", 400_000),
        "equals signs": "<p " + times("=", 2_000_000),
        "spaces in a tag": "<p a" + times(" ", 1_900_000) + "b>x",
        "spaces": times(" ", 2_000_000),
        "newlines in pre": "<pre>" + times("\n", 1_900_000) + "x",
        "backticks in pre": "<pre>" + times("`", 1_900_000),
        "code": times("<code>`</code>", 140_000),
        "brackets": "<p>" + times("[", 1_900_000),
        "stars": "<p>" + times("*_", 950_000),
        "words": "<p>" + times("lorem ipsum ", 160_000),
        "drawing": "<svg>" + times("<path d='M0'/>", 150_000),
        "base": times("<base href=/x>", 130_000) + "<a href=y>z</a>",
        "declarations": times("<?", 900_000),
        "tag names": times("<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>", 25_000),
        "many tag names": "".join(f"<x{number}>" for number in range(int(200_000 * scale))),
        "NUL": times("\0", 1_900_000) + "x",
        "invisible": "<p>" + times("\u200b\U000e0041", 900_000),
        "superscripts": times("x<sup>2</sup>", 140_000),
    }
