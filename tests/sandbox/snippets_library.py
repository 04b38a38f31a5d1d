"""Snippets: the rest of the standard library, from files in memory to logging, parsing and introspection."""

CELLS = r'''
# %% json-round-trip
import json
data = {"name": "Ann", "tags": ["a", None, True], "n": 1.5, "nested": {"é": "日本"}}
text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
print(text)
print(json.dumps(data), json.dumps([1, (2, 3)], separators=(",", ":")), json.dumps({1: None, True: 2}))
json.loads(text) == data, json.loads("[1e3, NaN, -Infinity, 12345678901234567890]"), json.dumps("\u2028</script>")

# %% json-custom
import json, datetime
from decimal import Decimal
class Encoder(json.JSONEncoder):
    def default(self, o):
        if isinstance(o, (datetime.date, set)): return sorted(o) if isinstance(o, set) else o.isoformat()
        return super().default(o)
print(json.dumps({"d": datetime.date(2024, 1, 2), "s": {3, 1}}, cls=Encoder),
    json.dumps([object], default=lambda o: o.__name__))
for bad in ({1, 2}, {(1,): 2}):
    try:
        json.dumps(bad)
    except TypeError as e:
        print(e)
json.loads('{"a": 1.10}', parse_float=Decimal), json.loads('{"x": {"y": 1}}', object_hook=lambda d: sorted(d.items()))

# %% json-decode-errors
import json
for text in ("", "{", "[1,]", "{'a': 1}", '{"a" 1}', "nul", '"\n"', "1 2"):
    try:
        json.loads(text)
    except json.JSONDecodeError as e:
        print(repr(text), e, e.pos, e.lineno)

# %% csv-in-memory
import csv, io
text = 'name,age,note\nAnn,30,"likes ""tea"", coffee"\nBob,25,\n'
rows = list(csv.DictReader(io.StringIO(text)))
out = io.StringIO()
w = csv.DictWriter(out, fieldnames=["name", "age"], extrasaction="ignore", lineterminator="\n")
w.writeheader()
w.writerows(sorted(rows, key=lambda r: int(r["age"])))
csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL).writerow([1, "a;b", None])
print(out.getvalue())
rows, list(csv.reader(["a|b|'c|d'"], delimiter="|", quotechar="'")), csv.Sniffer().sniff("a;b\n1;2").delimiter

# %% files-write-and-read
with open("notes.txt", "w") as f:
    print(f.write("first line\n"), f.name, f.mode, f.closed)
    f.writelines(["second\n", "third\n"])
    print("printed", file=f)
with open("notes.txt") as f:
    print(f.readline().strip(), [line.rstrip() for line in f])
with open("notes.txt", "a+") as f:
    f.write("appended")
    f.seek(0)
    print(len(f.read()))
open("notes.txt").read().splitlines(), f.closed

# %% files-modes-and-errors
with open("data.bin", "wb") as f:
    f.write(bytes(range(8)))
with open("data.bin", "r+b") as f:
    f.seek(2); f.write(b"XY")
    print(f.tell(), f.read(), f.seek(-1, 2), f.readable(), f.seekable())
    f.truncate(5)
for mode in ("x", "q", "r"):
    try:
        open("data.bin" if mode != "r" else "none.txt", mode)
    except (OSError, ValueError) as e:
        print(type(e).__name__, e)
try:
    open("data.bin", "rb").write(b"")
except OSError as e:
    print(type(e).__name__, e)
open("data.bin", "rb").read()

# %% files-encodings-and-newlines
with open("l1.txt", "w", encoding="latin-1", newline="\r\n") as f:
    f.write("é\nü")
print(open("l1.txt", "rb").read(), open("l1.txt", encoding="latin-1").read(),
    repr(open("l1.txt", encoding="latin-1", newline="").read()))
try:
    open("l1.txt").read()
except UnicodeDecodeError as e:
    print(e)
open("l1.txt", errors="replace").read(), f.encoding

# %% files-json-csv-pickle
import json, csv, pickle
with open("d.json", "w") as f: json.dump({"a": [1, 2]}, f)
with open("d.csv", "w", newline="") as f: csv.writer(f).writerows([["x", "y"], [1, "a,b"]])
with open("d.pkl", "wb") as f: pickle.dump({1, 2}, f)
print(json.load(open("d.json")), open("d.csv", newline="").read().encode())
with open("d.csv") as f, open("d.pkl", "rb") as p:
    result = list(csv.DictReader(f)), pickle.load(p)
result

# %% files-os-functions
import os
os.makedirs("a/b", exist_ok=True)
with open("a/b/x.txt", "w") as f: f.write("12345")
print(os.path.exists("a/b/x.txt"), os.path.isfile("a/b/x.txt"), os.path.isdir("a"), os.path.getsize("a/b/x.txt"),
    os.listdir("a"))
os.rename("a/b/x.txt", "a/y.txt")
print(sorted(os.listdir("a")), os.path.exists("a/b/x.txt"), os.stat("a/y.txt").st_size,
    [(d, sorted(ds), fs) for d, ds, fs in os.walk("a")])
os.remove("a/y.txt")
os.rmdir("a/b")
for f in (lambda: os.remove("gone"), lambda: os.listdir("gone"), lambda: os.mkdir("a"),
    lambda: open("no/dir.txt", "w")):
    try:
        f()
    except OSError as e:
        print(type(e).__name__, e)
os.listdir("a"), sorted(os.listdir())

# %% files-pathlib
from pathlib import Path
p = Path("proj") / "src"
p.mkdir(parents=True, exist_ok=True)
(p / "main.py").write_text("print('hi')\n")
(p / "data.bin").write_bytes(b"\x00\x01")
Path("proj/readme.md").write_text("# é", encoding="utf-8")
print((p / "main.py").read_text(), p.exists(), p.is_dir(), (p / "main.py").is_file(), (p / "data.bin").stat().st_size)
print(sorted(f.name for f in p.iterdir()), sorted(map(str, Path("proj").rglob("*.*"))),
    sorted(x.name for x in Path("proj").glob("*.md")))
with (p / "main.py").open("a") as f: f.write("more")
(p / "data.bin").unlink()
(p / "nothing").unlink(missing_ok=True)
(p / "main.py").rename(p / "app.py")
try:
    (p / "main.py").read_text()
except FileNotFoundError as e:
    print(e)
[f.name for f in p.iterdir()], (p / "app.py").read_bytes(), Path("proj/readme.md").read_text()

# %% files-tempfile
import tempfile, os
from pathlib import Path
with tempfile.TemporaryDirectory() as d:
    path = Path(d) / "x.txt"
    path.write_text("temp")
    print(path.read_text(), os.listdir(d), os.path.isdir(d))
print(os.path.exists(d))
with tempfile.NamedTemporaryFile("w+", suffix=".txt") as f:
    f.write("named"); f.seek(0)
    print(f.read(), f.name.endswith(".txt"))
with tempfile.TemporaryFile() as f:
    f.write(b"anonymous"); f.seek(0)
    data = f.read()
with tempfile.SpooledTemporaryFile() as s:
    s.write(b"spooled"); s.seek(0)
    print(s.read())
data

# %% files-shutil-glob
import shutil, glob, os, fnmatch
os.mkdir("src")
for n in ("a.txt", "b.txt", "c.md"):
    with open(f"src/{n}", "w") as f: f.write(n)
shutil.copy("src/a.txt", "copy.txt")
shutil.copytree("src", "dst")
shutil.move("copy.txt", "dst/moved.txt")
print(sorted(glob.glob("src/*.txt")), sorted(os.listdir("dst")), sorted(glob.glob("**/*.md", recursive=True)))
shutil.rmtree("src")
(os.path.exists("src"), open("dst/moved.txt").read(), fnmatch.filter(["x.py", "y.c"], "*.py"),
 fnmatch.fnmatch("Foo.TXT", "*.TXT"))

# %% files-gzip-zip-tar
import gzip, zipfile, tarfile, io, bz2
with gzip.open("x.gz", "wt") as f: f.write("zipped text")
with bz2.open("x.bz2", "wb") as f: f.write(b"bz")
with zipfile.ZipFile("x.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("a/b.txt", "hello")
    z.writestr("c.txt", b"there" * 100)
with zipfile.ZipFile("x.zip") as z:
    print(z.namelist(), z.read("a/b.txt"), z.getinfo("c.txt").file_size, z.testzip())
buf = io.BytesIO()
with tarfile.open(fileobj=buf, mode="w:gz") as t:
    info = tarfile.TarInfo("t.txt"); info.size = 3
    t.addfile(info, io.BytesIO(b"abc"))
buf.seek(0)
gzip.open("x.gz", "rt").read(), bz2.open("x.bz2").read(), tarfile.open(fileobj=buf).extractfile("t.txt").read()

# %% files-io-details
import io
with open("t.txt", "w+") as f:
    f.write("abc\ndef\n")
    f.seek(0)
    print(next(f), f.read(1), isinstance(f, io.TextIOWrapper), isinstance(f, io.TextIOBase), f.buffer is not None)
b = open("t.txt", "rb")
print(isinstance(b, io.BufferedIOBase), b.peek(2)[:2], b.read1(3), b.readinto(bytearray(2)))
b.close()
try:
    b.read()
except ValueError as e:
    print(e)
io.open is open, f.readable() if not f.closed else "closed"

# %% zip-in-memory
import zipfile, io
buf = io.BytesIO()
with zipfile.ZipFile(buf, "w") as z:
    z.writestr("x.txt", "text")
with zipfile.ZipFile(buf) as z, z.open("x.txt") as f:
    print(z.infolist()[0].filename, f.read())
zipfile.is_zipfile(io.BytesIO(b"no")), zipfile.Path(buf, "x.txt").read_text()

# %% pathlib-pure
from pathlib import Path, PurePosixPath, PureWindowsPath
p = Path("/home/ann/report.final.tar.gz")
print(p.name, p.stem, p.suffix, p.suffixes, p.parent, p.parts, p.anchor, p.with_suffix(".zip"), p.with_name("x"),
    p.is_absolute())
print(Path("a/../b/./c"), Path("a") / "/b", p.relative_to("/home"), p.match("*.gz"), list(p.parents)[:2], p.as_uri(),
    Path() == Path("."))
try:
    p.relative_to("/var")
except ValueError as e:
    print(e)
(p, PureWindowsPath(r"C:\x\y.txt").drive, PurePosixPath("a//b").joinpath("c", "d"), sorted([Path("b"), Path("a")]),
 p.is_relative_to("/home"), p.with_stem("s"))

# %% os-path
import os.path
print(os.path.join("a", "b", "/c", "d"), os.path.split("/x/y.txt"), os.path.splitext("a.tar.gz"),
    os.path.basename("/a/b/"), os.path.dirname("/a/b"))
(os.path.normpath("a//b/../c/."), os.path.isabs("/x"), os.path.commonpath(["/a/b", "/a/c"]),
 os.path.relpath("/a/b", "/a/c"), os.sep, os.linesep, os.path.commonprefix(["abc", "abd"]))

# %% os-basics
import os
print(os.name, os.getpid() > 0, os.cpu_count() >= 1, os.environ.get("NO_SUCH_THING"),
    os.getenv("NO_SUCH_THING", "fallback"))
os.environ["MY_OWN"] = "set"
(os.environ["MY_OWN"], os.getenv("MY_OWN"), "MY_OWN" in os.environ, os.fspath("x"), os.path.expandvars("$MY_OWN/x"),
 os.strerror(2))

# %% logging-basic
import logging, sys
logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s", stream=sys.stdout)
log = logging.getLogger("app")
log.debug("hidden")
log.info("started %s", "x")
log.warning("n=%(n)d", {"n": 5})
try:
    1 / 0
except ZeroDivisionError:
    log.error("failed", exc_info=False)
log.level, log.getEffectiveLevel(), logging.getLevelName(30), log.isEnabledFor(10)

# %% logging-to-stderr
import logging
logging.warning("to stderr by default")
logging.info("hidden")
logging.getLogger("x.y").error("code %d", 5)

# %% logging-handlers
import logging, io
stream = io.StringIO()
h = logging.StreamHandler(stream)
h.setFormatter(logging.Formatter("{levelname:<8}|{name}|{message}|{funcName}", style="{"))
h.addFilter(lambda r: "skip" not in r.getMessage())
log = logging.getLogger("a.b")
log.addHandler(h); log.setLevel("DEBUG"); log.propagate = False
def work():
    log.debug("one"); log.info("skip me"); log.critical("bad")
work()
class Listing(logging.Handler):
    def emit(self, r): seen.append((r.levelname, r.msg, r.args))
seen = []
logging.getLogger().addHandler(Listing())
logging.getLogger("other").warning("w %s", 1)
stream.getvalue(), seen, log.name, log.parent.name

# %% logging-exception
import logging, io
out = io.StringIO()
logging.basicConfig(stream=out, format="%(message)s")
try:
    {}["k"]
except KeyError:
    logging.exception("lookup failed")
lines = out.getvalue().splitlines()
lines[0], lines[1], lines[-1]

# %% logging-file-and-dict-config
import logging.config
logging.config.dictConfig({"version": 1, "formatters": {"f": {"format": "%(levelname)s %(message)s"}},
                           "handlers": {"file": {"class": "logging.FileHandler", "filename": "app.log",
                               "formatter": "f"}},
                           "root": {"level": "INFO", "handlers": ["file"]}})
logging.info("to the file")
logging.debug("no")
logging.shutdown()
open("app.log").read()

# %% urllib-parse
from urllib.parse import urlparse, urlsplit, urlunparse, urlencode, parse_qs, parse_qsl, urljoin
from urllib.parse import quote, unquote, quote_plus
u = urlparse("https://user:pw@example.com:8080/path/a b;p?q=1&q=2&x=#frag")
print(u, u.hostname, u.port, u.username, parse_qs(u.query), parse_qsl(u.query, keep_blank_values=True))
print(urlencode({"a": 1, "b": "x y&z", "c": ["1", "2"]}, doseq=True), quote("ä/b c"), quote("a/b", safe=""),
    unquote("%C3%A4+x"), quote_plus("a b"))
urljoin("http://a/b/c", "../d"), urlunparse(u._replace(scheme="http", fragment="")), urlsplit("//h/p").netloc

# %% html-module
import html
from html.parser import HTMLParser
class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.text = [], []
    def handle_starttag(self, tag, attrs):
        if tag == "a": self.links.append(dict(attrs).get("href"))
    def handle_data(self, data):
        if data.strip(): self.text.append(data.strip())
p = Links()
p.feed('<p>See <a href="/x?a=1&amp;b=2">this</a> and <a>that</a><br/> &copy; end</p>')
html.escape("<a href='x'>&"), html.unescape("&lt;&eacute;&#8364;&nbsp;"), p.links, p.text

# %% xml-elementtree
import xml.etree.ElementTree as ET
root = ET.fromstring("<shop><item id='1'><name>Tea</name><price>3.5</price></item>"
                     "<item id='2'><name>Milk</name></item></shop>")
for item in root.findall("item"):
    print(item.get("id"), item.findtext("name"), item.findtext("price", "n/a"))
ET.SubElement(root, "item", id="3").text = "a < b"
ET.indent(root)
print(ET.tostring(root, encoding="unicode"))
try:
    ET.fromstring("<a><b></a>")
except ET.ParseError as e:
    print(e)
([e.tag for e in root.iter()], root.find("./item[@id='2']/name").text, ET.tostring(ET.Element("x", {"k": "v"})),
 len(root))

# %% xml-minidom
from xml.dom import minidom
doc = minidom.parseString("<a><b k='1'>text</b><b/></a>")
print(doc.documentElement.tagName, [b.getAttribute("k") for b in doc.getElementsByTagName("b")])
doc.documentElement.firstChild.toxml(), minidom.parseString("<r><x>1</x></r>").toprettyxml(indent=" ")

# %% difflib-module
import difflib
a, b = "one\ntwo\nthree\n".splitlines(True), "one\ntwo!\nthree\nfour\n".splitlines(True)
print("".join(difflib.unified_diff(a, b, "old", "new")))
print("".join(difflib.ndiff(a, b)))
s = difflib.SequenceMatcher(None, "abcd", "bcde")
s.ratio(), s.get_opcodes(), difflib.get_close_matches("appel", ["ape", "apple", "peach"])

# %% pprint-module
from pprint import pprint, pformat, PrettyPrinter
data = {"users": [{"name": f"user{i}", "roles": ["admin", "editor"], "active": bool(i % 2)} for i in range(3)],
    "b": 1, "a": (1,)}
pprint(data)
pprint(data, depth=1, sort_dicts=False)
pprint([list(range(30))], width=40, compact=True)
pformat("long text " * 12), PrettyPrinter(indent=4).pformat({"k": {1, 2}})

# %% reprlib-module
import reprlib
r = reprlib.Repr()
r.maxlist = 2
class Node:
    def __init__(self, v, n=None): self.v, self.n = v, n
    @reprlib.recursive_repr()
    def __repr__(self): return f"Node({self.v}, {self.n})"
n = Node(1)
n.n = n
reprlib.repr("x" * 100), r.repr(list(range(10))), n

# %% types-module
import types
ns = types.SimpleNamespace(a=1, b="x")
ns.c = [1]
m = types.MappingProxyType({"k": 1})
try:
    m["k"] = 2
except TypeError as e:
    print(e)
mod = types.ModuleType("made", "docs")
mod.x = 5
print(ns, m, mod.__name__, mod.__doc__, ns == types.SimpleNamespace(a=1, b="x", c=[1]))
(isinstance(lambda: 0, types.FunctionType), isinstance(len, types.BuiltinFunctionType), types.NoneType,
 isinstance((i for i in ()), types.GeneratorType), types.EllipsisType)

# %% tomllib-module
import tomllib
text = """
title = "T"
when = 2024-05-06T07:08:09Z
[owner]
name = "Ann"
tags = ["a", "b"]
[[items]]
n = 0x10
f = 1e3
"""
try:
    tomllib.loads("x = ")
except tomllib.TOMLDecodeError as e:
    print(e)
with open("c.toml", "wb") as f: f.write(b"a = 1")
tomllib.loads(text), tomllib.load(open("c.toml", "rb"))

# %% configparser-module
import configparser, io
c = configparser.ConfigParser()
c.read_string("""
[DEFAULT]
base = /srv
[web]
path = %(base)s/www
port: 8080
debug = yes
""")
c["new"] = {"k": "v"}
out = io.StringIO()
c.write(out)
try:
    c.get("web", "nope")
except configparser.NoOptionError as e:
    print(e)
(c.sections(), c["web"]["path"], c.getint("web", "port"), c.getboolean("web", "debug"),
 c.get("web", "x", fallback="-"), out.getvalue())

# %% sqlite3-memory
import sqlite3
db = sqlite3.connect(":memory:")
db.row_factory = sqlite3.Row
with db:
    db.execute("create table t (id integer primary key, name text, qty real)")
    db.executemany("insert into t (name, qty) values (?, ?)", [("tea", 1.5), ("milk", 2), ("tea", 4)])
for row in db.execute("select name, sum(qty) as total, count(*) from t group by name order by total desc"):
    print(tuple(row), row["total"], row.keys())
db.create_function("shout", 1, lambda s: s.upper() + "!")
try:
    with db:
        db.execute("insert into t (id, name) values (1, 'dup')")
except sqlite3.IntegrityError as e:
    print(type(e).__name__, e)
cur = db.execute("select shout(name) from t where qty > :q", {"q": 1.6})
cur.fetchall()[0][0], db.total_changes, [d[0] for d in db.execute("select id, name from t").description]

# %% sqlite3-window-and-json
import sqlite3
db = sqlite3.connect(":memory:")
db.executescript("create table s(d text, v int); insert into s values ('a', 1), ('b', 5), ('c', 2);")
print(db.execute("select d, sum(v) over (order by d) from s").fetchall())
print(db.execute("with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) "
                 "select group_concat(i) from n").fetchone())
db.execute("select json_extract('{\"a\": [1, 2]}', '$.a[1]'), upper('x'), date('2024-01-31', '+1 month'), "
           "7 / 2, 7 / 2.0, null is null").fetchone()

# %% ipaddress-module
import ipaddress as ip
n = ip.ip_network("192.168.1.0/29")
print(list(n.hosts())[:2], n.num_addresses, n.netmask, ip.ip_address("192.168.1.5") in n, n.broadcast_address)
try:
    ip.ip_address("300.1.1.1")
except ValueError as e:
    print(e)
(ip.ip_address("::1").is_loopback, ip.ip_address("10.0.0.1").is_private, list(n.subnets(prefixlen_diff=1)),
 int(ip.ip_address("1.2.3.4")), ip.IPv6Address("2001:db8::1").exploded)

# %% shlex-module
import shlex
print(shlex.split("cp 'my file' --to=\"a b\" x\\ y # c", comments=True), shlex.quote("it's"), shlex.join(["a b", "c"]))
shlex.split('unclosed "quote')

# %% argparse-module
import argparse
p = argparse.ArgumentParser(prog="tool", description="Does things.")
p.add_argument("files", nargs="+")
p.add_argument("-n", "--number", type=int, default=3, help="how many")
p.add_argument("--mode", choices=["fast", "slow"])
p.add_argument("-v", action="count", default=0)
sub = argparse.ArgumentParser(prog="s").add_subparsers(dest="cmd")
sub.add_parser("go").add_argument("--x", action="store_true")
p.print_help()
args = p.parse_args(["a", "b", "-n", "5", "-vv", "--mode=fast"])
args, vars(args)["number"], p.parse_known_args(["f", "--zz"])[1]

# %% argparse-error
import argparse
p = argparse.ArgumentParser(prog="tool")
p.add_argument("--count", type=int)
p.parse_args(["--count", "many"])

# %% locale-and-gettext
import locale, gettext
print(locale.setlocale(locale.LC_ALL, "C"), locale.localeconv()["decimal_point"], locale.atof("1.5"),
    locale.format_string("%d items", 5))
_ = gettext.gettext
(gettext.NullTranslations().gettext("x"), _("Hello"), gettext.ngettext("%d file", "%d files", 2) % 2,
 locale.strcoll("a", "b") < 0)

# %% ast-module
import ast
tree = ast.parse("def f(x):\n    return x + 1\nprint(f(2))")
print(ast.dump(tree.body[1], indent=1), ast.unparse(tree))
class Doubler(ast.NodeTransformer):
    def visit_Constant(self, n): return ast.copy_location(ast.Constant(n.value * 2), n)
exec(compile(ast.fix_missing_locations(Doubler().visit(tree)), "<t>", "exec"))
(ast.literal_eval("{'a': [1, -2.5, None], 'b': (True, b'x')}"),
 [type(n).__name__ for n in ast.walk(ast.parse("a.b[0]", mode="eval"))], ast.get_docstring(ast.parse('"""doc"""')))

# %% ast-calculator
import ast, operator
ops = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.USub: operator.neg}
def calc(text):
    def ev(n):
        match n:
            case ast.Expression(body): return ev(body)
            case ast.Constant(value=v): return v
            case ast.BinOp(l, op, r): return ops[type(op)](ev(l), ev(r))
            case ast.UnaryOp(op, o): return ops[type(op)](ev(o))
            case _: raise ValueError(f"not allowed: {ast.unparse(n)}")
    return ev(ast.parse(text, mode="eval"))
print(calc("2 + 3 * -(4 - 1) ** 2 / 9"))
calc("__import__('os')")

# %% tokenize-and-dis
import tokenize, io, dis, token
toks = tokenize.generate_tokens(io.StringIO("x = 1 + 'a' # c\n").readline)
print([(token.tok_name[t.type], t.string) for t in toks])
def f(a): return a + 1
names = [i.opname for i in dis.get_instructions(f)]
dis.dis(compile("x + 1", "<d>", "eval"))
names[-1].startswith("RETURN"), len(dis.code_info(f).splitlines()) > 5

# %% email-module
from email.message import EmailMessage
from email import message_from_string, policy
from email.utils import parseaddr, formataddr, parsedate_to_datetime
m = EmailMessage()
m["Subject"], m["From"], m["To"] = "Grüße", "Ann <ann@x.org>", "bob@y.org, cy@z.org"
m.set_content("Hello\nthere")
m.add_alternative("<b>Hello</b>", subtype="html")
print(m["subject"], m.get_content_type(), [p.get_content_type() for p in m.iter_parts()], m["to"].addresses[1].domain)
back = message_from_string("Subject: =?utf-8?q?caf=C3=A9?=\nX: 1\n\nbody", policy=policy.default)
(back["Subject"], back.get_content(), parseaddr("A B <a@b.c>"), formataddr(("Ü", "u@x.y")),
 parsedate_to_datetime("Mon, 20 Nov 2023 19:12:08 -0500"))

# %% http-cookies-and-mimetypes
from http.cookies import SimpleCookie
from http import HTTPStatus
import mimetypes
c = SimpleCookie()
c.load("a=1; b=two")
c["a"]["path"] = "/"
print(c.output(), {k: v.value for k, v in c.items()})
(mimetypes.guess_type("x.html"), mimetypes.guess_type("y.tar.gz"), mimetypes.guess_extension("image/png"),
 HTTPStatus.NOT_FOUND.phrase, HTTPStatus(200))

# %% colorsys-module
import colorsys
print(tuple(round(v, 4) for v in colorsys.rgb_to_hsv(0.2, 0.4, 0.4)), colorsys.hsv_to_rgb(0.5, 1, 1))
"#%02x%02x%02x" % tuple(int(v * 255) for v in colorsys.hls_to_rgb(0.6, 0.5, 1)), colorsys.rgb_to_yiq(1, 1, 1)

# %% timeit-module
import timeit
t = timeit.timeit("sum(range(10))", number=100)
n = []
timeit.repeat(lambda: n.append(1), repeat=3, number=2)
isinstance(t, float), t > 0, len(n), timeit.timeit("f(x)", globals={"f": abs, "x": 1}, number=1) >= 0

# %% platform-and-sys
import platform, sys
print(platform.python_version(), platform.python_implementation(), platform.system(), sys.version_info[:3],
    sys.implementation.name)
print(sys.maxsize, sys.byteorder, sys.getsizeof(0) > 0, sys.float_info.max, sys.hash_info.width, sys.maxunicode,
    sys.getdefaultencoding())
(sys.getrefcount(object()), sys.intern("abc") is sys.intern("abc"), "math" in sys.modules,
 sys.version.startswith(platform.python_version()), sys.platform, sys.flags.utf8_mode)

# %% inspect-frames
import inspect, sys
def who(): return inspect.currentframe().f_code.co_name, inspect.stack()[1].function, sys._getframe(1).f_code.co_name
def caller():
    local = 5
    return who()
def outer_locals(): return sorted(sys._getframe(1).f_locals)
def g(a, b=2): return outer_locals()
caller(), g(1), inspect.currentframe().f_lineno

# %% inspect-source
import inspect
def f(x):
    # a comment
    return x + 1
class C:
    def m(self): return 1
print(inspect.getsource(f))
inspect.getsource(C.m), inspect.getsourcelines(f)[1]

# %% gc-module
import gc
class Loop: pass
a = Loop()
a.me = a
del a
gc.collect()
gc.disable()
state = gc.isenabled()
gc.enable()
state, gc.isenabled(), len(gc.get_count()), gc.is_tracked([])

# %% atexit-and-signal-names
import atexit, signal
@atexit.register
def bye(): pass
atexit.unregister(bye)
signal.SIGINT.name, signal.Signals(15).name, signal.strsignal(2)

# %% builtin-input
name = input("Your name: ")

# %% builtin-help
def add(a, b):
    """Add two numbers."""
    return a + b
help(add)

# %% builtin-site-names
print(exit, quit, sep="\n")
callable(help), callable(exit)

# %% pydoc-module
import pydoc
class A:
    """Doc of A."""
    def m(self, x=1): "Doc of m."
print(pydoc.render_doc(A, renderer=pydoc.plaintext))
pydoc.getdoc(A.m), pydoc.locate("math.pi")

# %% doctest-module
import doctest
def square(x):
    """Square.

    >>> square(3)
    9
    >>> square(2)
    5
    """
    return x * x
doctest.run_docstring_examples(square, {"square": square}, name="square")
print(doctest.DocTestParser().get_examples(">>> 1 + 1\n2\n")[0].source)

# %% unittest-module
import unittest, io
class TestMath(unittest.TestCase):
    def setUp(self): self.n = 2
    def test_ok(self): self.assertEqual(self.n + 2, 4)
    def test_bad(self): self.assertTrue(False, "no")
    @unittest.skip("later")
    def test_skipped(self): pass
suite = unittest.defaultTestLoader.loadTestsFromTestCase(TestMath)
out = io.StringIO()
r = unittest.TextTestRunner(stream=out, verbosity=2).run(suite)
r.testsRun, len(r.failures), len(r.skipped), r.wasSuccessful(), out.getvalue().splitlines()[0]

# %% unittest-mock
from unittest.mock import Mock, patch, MagicMock, call
m = Mock(return_value=3)
m(1, k=2)
m.attr.method.return_value = "deep"
with patch("math.sqrt", side_effect=lambda x: f"fake {x}"):
    import math
    print(math.sqrt(4))
mm = MagicMock()
mm.__len__.return_value = 7
try:
    m.assert_called_with(9)
except AssertionError as e:
    print(str(e).splitlines()[0])
m.call_args, m.attr.method(), m.call_count, len(mm), m.mock_calls[0] == call(1, k=2), math.sqrt(4)

# %% importlib-and-pkgutil
import importlib, importlib.util, sys
print(importlib.util.find_spec("definitely_not_here"), importlib.import_module("json").__name__)
try:
    importlib.import_module("not.there")
except ModuleNotFoundError as e:
    print(e)
import types
m = types.ModuleType("mine")
exec("x = 41\ndef f(): return x + 1", m.__dict__)
sys.modules["mine"] = m
from mine import f
f(), __import__("math").floor(2.5)

# %% import-reload
import importlib, colorsys
importlib.reload(colorsys) is colorsys

# %% ctypes-structures
import ctypes
class P(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]
p = P(1, 2.5)
a = (ctypes.c_int * 3)(1, 2, 3)
p.x, p.y, ctypes.sizeof(P), list(a), ctypes.c_uint8(300).value, ctypes.string_at(b"abc", 2)

# %% cprofile-module
import cProfile, pstats, io
def work(): return sum(i * i for i in range(100))
p = cProfile.Profile()
p.enable(); work(); p.disable()
out = io.StringIO()
pstats.Stats(p, stream=out).sort_stats("calls").print_stats(3)
"function calls" in out.getvalue(), p.runcall(work)

# %% tracemalloc-module
import tracemalloc
tracemalloc.start()
x = [bytes(1000) for _ in range(100)]
now, peak = tracemalloc.get_traced_memory()
tracemalloc.stop()
now > 90_000, peak >= now

# %% shelve-and-dbm
import shelve
with shelve.open("store") as s:
    s["a"] = [1, 2]
with shelve.open("store") as s:
    print(dict(s), "b" in s)

# %% linecache-and-fileinput
import linecache, fileinput
with open("lines.txt", "w") as f: f.write("a\nb\nc\n")
print(linecache.getline("lines.txt", 2), [(fileinput.lineno(), l.strip()) for l in fileinput.input("lines.txt")])
linecache.getline("lines.txt", 99)

# %% plistlib-and-quopri
import plistlib, quopri, uuid
data = plistlib.dumps({"a": [1, True, b"x"]})
plistlib.loads(data), quopri.encodestring("é=".encode()), plistlib.loads(data)["a"][2], quopri.decodestring(b"=C3=A9")

# %% cmd-code-interpreter
import code, io, contextlib
out = io.StringIO()
i = code.InteractiveInterpreter({"x": 20})
with contextlib.redirect_stdout(out):
    print(i.runsource("x + 22"), i.runsource("if x:"))
import cmd
class Shell(cmd.Cmd):
    def do_greet(self, arg): print("hello", arg)
    def default(self, line): print("unknown", line)
s = Shell()
s.onecmd("greet Ann"); s.onecmd("zzz")
out.getvalue()

# %% secrets-and-getpass
import secrets, string
pw = "".join(secrets.choice(string.ascii_letters) for _ in range(12))
len(pw), pw.isalpha(), 0 <= secrets.randbelow(5) < 5, len(secrets.token_hex()), secrets.SystemRandom().random() < 1

# %% multiprocessing-dummy
from multiprocessing.dummy import Pool
def square(x): return x * x
with Pool(3) as p:
    print(p.map(square, range(5)))
    r = p.apply(square, (9,))
r

# %% wave-in-memory
import wave, io, math, struct
buf = io.BytesIO()
with wave.open(buf, "wb") as w:
    w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000)
    w.writeframes(b"".join(struct.pack("<h", int(1000 * math.sin(i))) for i in range(80)))
buf.seek(0)
with wave.open(buf) as w:
    params = w.getparams()
params, len(buf.getvalue())

# %% xmlrpc-and-http-objects
import xmlrpc.client, http.client, urllib.request
print(xmlrpc.client.dumps((1, "a"), "method")[:60])
r = urllib.request.Request("http://example.com/x", data=b"q", headers={"A": "b"}, method="PUT")
r.get_method(), r.full_url, r.host, r.get_header("A"), http.client.responses[418]

# %% bisect-record-lookup-with-key
import bisect
from dataclasses import dataclass
@dataclass
class Row:
    t: int
    v: str
rows = [Row(10, "a"), Row(20, "b"), Row(30, "c")]
at = lambda t: rows[bisect.bisect_right(rows, t, key=lambda r: r.t) - 1]
bisect.insort(rows, Row(25, "x"), key=lambda r: r.t)
at(22), [r.v for r in rows]

# %% everyday-word-count
import re
from collections import Counter
text = """It was the best of times, it was the worst of times, it was the age of wisdom,
it was the age of foolishness, it was the epoch of belief"""
words = re.findall(r"[a-z']+", text.lower())
for word, n in Counter(words).most_common(4):
    print(f"{word:<6}{'#' * n} {n}")
len(words), len(set(words)), max(words, key=len)

# %% everyday-report
import json, statistics
from datetime import date
orders = json.loads('[{"id": 1, "day": "2024-03-01", "lines": [["tea", 2, 3.5], ["cup", 1, 8]]}, '
                    '{"id": 2, "day": "2024-03-04", "lines": [["tea", 10, 3.2]]}]')
totals = {o["id"]: round(sum(q * p for _, q, p in o["lines"]), 2) for o in orders}
for o in orders:
    day = date.fromisoformat(o["day"])
    print(f"#{o['id']:03d} {day:%a %d %b} {totals[o['id']]:>8.2f} {'*' * int(totals[o['id']] // 5)}")
print(f"mean {statistics.mean(totals.values()):.2f}")
totals

# %% everyday-parse-log
import re
from collections import defaultdict
log = """2024-01-01 10:00:00 INFO start
2024-01-01 10:00:05 ERROR db: timeout after 30s
2024-01-01 10:01:00 WARN slow query
2024-01-01 10:02:00 ERROR db: refused"""
levels = defaultdict(list)
for line in log.splitlines():
    if m := re.match(r"(\S+ \S+) (\w+) (.*)", line):
        when, level, text = m.groups()
        levels[level].append((when[-8:], text))
print({k: len(v) for k, v in levels.items()})
levels["ERROR"]

# %% everyday-simulation
import random
from dataclasses import dataclass, field
random.seed(7)
@dataclass
class Walker:
    x: int = 0
    y: int = 0
    path: list = field(default_factory=list, repr=False)
    def step(self):
        dx, dy = random.choice([(0, 1), (1, 0), (0, -1), (-1, 0)])
        self.x, self.y = self.x + dx, self.y + dy
        self.path.append((self.x, self.y))
w = Walker()
for _ in range(50): w.step()
w, max(abs(x) + abs(y) for x, y in w.path), len(set(w.path))

# %% errno-and-stat
import errno, stat, os
with open("f.txt", "w") as f: f.write("x")
s = os.stat("f.txt")
print(errno.ENOENT, errno.errorcode[13], stat.S_ISREG(s.st_mode), stat.S_ISDIR(os.stat(".").st_mode))
stat.filemode(0o100644), os.strerror(errno.EACCES), issubclass(type(OSError(errno.EEXIST, "x")), FileExistsError)

# %% optparse-and-getopt
import optparse, getopt
p = optparse.OptionParser(prog="x")
p.add_option("-f", "--file", dest="name", default="none")
o, rest = p.parse_args(["-f", "a.txt", "more"])
try:
    getopt.getopt(["-z"], "ab:")
except getopt.GetoptError as e:
    print(e)
o.name, rest, getopt.getopt(["-a", "-b", "v", "arg"], "ab:")

# %% symtable-and-codeop
import symtable, codeop
t = symtable.symtable("def f(x):\n    y = x\n    return y + z", "<s>", "exec")
f = t.get_children()[0]
(f.get_parameters(), sorted(f.get_locals()), f.get_globals(), codeop.compile_command("if x:"),
 codeop.compile_command("1 + 1") is not None)

# %% marshal-and-pickletools
import marshal, pickletools, pickle, io
out = io.StringIO()
pickletools.dis(pickle.dumps([1, "a"], protocol=2), out)
print(out.getvalue().splitlines()[0])
(marshal.loads(marshal.dumps({"a": [1, (2,)]})), len(pickletools.optimize(pickle.dumps((1, 1)))) > 0,
 pickle.HIGHEST_PROTOCOL)

# %% pickle-protocols
import pickle, io, datetime, collections
data = {"d": datetime.date(2024, 1, 1), "c": collections.Counter("aa"), "t": (1, [2, {3}]), "b": b"x"}
class Limited(pickle.Unpickler):
    def find_class(self, module, name):
        if module == "datetime": raise pickle.UnpicklingError(f"{name} is forbidden")
        return super().find_class(module, name)
try:
    Limited(io.BytesIO(pickle.dumps(data))).load()
except pickle.UnpicklingError as e:
    print(e)
[pickle.loads(pickle.dumps(data, p)) == data for p in range(6)]

# %% filecmp-and-file-details
import filecmp, os
for n, text in (("a", "1"), ("b", "1"), ("c", "2")):
    with open(n, "w") as f: f.write(text)
print(filecmp.cmp("a", "b", shallow=False), filecmp.cmp("a", "c", shallow=False))
with os.scandir(".") as entries:
    print(sorted((e.name, e.is_file()) for e in entries))
os.replace("c", "a")
os.path.getmtime("a") > 0, open("a").read(), os.access("a", os.R_OK), os.path.samefile("a", "./a")

# %% path-details
from pathlib import Path
import os
p = Path("dir/sub")
p.mkdir(parents=True)
f = p / "x.txt"
f.touch()
print(f.stat().st_size, f.exists(), f.resolve() == Path.cwd() / f, Path("dir").joinpath("sub", "x.txt").samefile(f))
for bad in (lambda: p.mkdir(), lambda: Path("dir").rmdir(), lambda: Path("nope").read_bytes(),
    lambda: list(Path("nope").iterdir()), lambda: Path("nope").unlink()):
    try:
        bad()
    except OSError as e:
        print(type(e).__name__, e)
f.write_text("a\nb", newline="\n") if hasattr(f, "write_text") else None
f.replace(Path("moved.txt"))
p.rmdir()
Path("moved.txt").read_text().splitlines(), sorted(os.listdir()), os.fspath(p), Path("dir").is_dir(), p.exists()

# %% file-like-in-with-and-loops
import os
with open("log.txt", "w") as log, open("copy.txt", "w") as copy:
    for n in range(3):
        print(f"row {n}", file=log)
    log.flush()
    copy.write(open("log.txt").read().upper())
with open("log.txt") as f:
    head = f.readline()
    rest = f.readlines()
    at_end = f.read()
with open("copy.txt") as f:
    numbered = [f"{i}:{line.strip()}" for i, line in enumerate(f, 1)]
head, rest, at_end, numbered, os.path.getsize("log.txt")

# %% directory-as-file
import os
os.mkdir("d")
for bad in (lambda: open("d"), lambda: os.remove("d"), lambda: os.rmdir("gone"), lambda: open("d/x/y", "w"),
    lambda: open("")):
    try:
        bad()
    except OSError as e:
        print(type(e).__name__, e.errno, e.filename)

# %% current-directory
import os
from pathlib import Path
home = os.getcwd()
os.mkdir("work")
os.chdir("work")
Path("inside.txt").write_text("x")
print(os.path.basename(os.getcwd()), os.listdir("."), os.path.abspath("a") == os.path.join(os.getcwd(), "a"))
os.chdir("..")
os.getcwd() == home, os.listdir("work"), Path("work/../work/inside.txt").exists()

# %% mmap-anonymous
import mmap
m = mmap.mmap(-1, 100)
m.write(b"hello world")
m.seek(0)
m[0:5], m.find(b"world"), m.read(5), len(m)

# %% selectors-and-pipes
import os, selectors
r, w = os.pipe()
s = selectors.DefaultSelector()
s.register(r, selectors.EVENT_READ, data="pipe")
print(s.select(0))
os.write(w, b"ready")
[(key.data, mask) for key, mask in s.select(1)], os.read(r, 10), os.close(w), os.read(r, 1)

# %% sys-stdout-wrapped
import sys, io
sys.stdout.reconfigure(line_buffering=True)
real = sys.stdout
class Tee:
    def __init__(self, *streams): self.streams = streams
    def write(self, s):
        for x in self.streams: x.write(s)
        return len(s)
    def flush(self):
        for x in self.streams: x.flush()
memory = io.StringIO()
sys.stdout = Tee(real, memory)
print("both")
sys.stdout = real
print("end")
memory.getvalue()

# %% sys-original-streams
import sys
print("through __stdout__", file=sys.__stdout__)
sys.__stderr__.write("through __stderr__\n")
sys.__stdout__ is sys.stdout

# %% http-and-email-tools
from email.utils import format_datetime, make_msgid, getaddresses
from email.header import decode_header, make_header
from http.cookies import CookieError, Morsel
import datetime
print(format_datetime(datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc), usegmt=True),
    getaddresses(["A <a@x>, b@y"]))
str(make_header(decode_header("=?utf-8?b?w7xiZXI=?="))), make_msgid(domain="x").endswith("@x>")

# %% mime-message-with-attachment
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.message import EmailMessage
from email import message_from_bytes, policy
m = EmailMessage()
m["Subject"] = "with a file"
m.set_content("see file")
m.add_attachment(b"a,b\n1,2", maintype="text", subtype="csv", filename="d.csv")
back = message_from_bytes(m.as_bytes(), policy=policy.default)
old = MIMEMultipart()
old.attach(MIMEText("körper", "plain", "utf-8"))
([(a.get_filename(), a.get_content_type()) for a in back.iter_attachments()], back.get_body().get_content(),
 old.get_payload()[0].get_payload(decode=True).decode())

# %% xml-sax-and-namespaces
import xml.sax, xml.etree.ElementTree as ET, io
from xml.sax.saxutils import escape, quoteattr
class H(xml.sax.ContentHandler):
    def __init__(self): super().__init__(); self.seen = []
    def startElement(self, name, attrs): self.seen.append((name, dict(attrs)))
h = H()
xml.sax.parseString(b"<a x='1'><b/></a>", h)
root = ET.fromstring('<f xmlns="http://x" xmlns:d="http://d"><d:t>v</d:t></f>')
events = [(e, el.tag) for e, el in ET.iterparse(io.StringIO("<a><b/></a>"), events=("start", "end"))]
h.seen, root.find("d:t", {"d": "http://d"}).text, events, escape("<&>"), quoteattr('a"b')

# %% encodings-of-many-kinds
text = "Grüße, мир"
for name in ("utf-8", "utf-16", "utf-16-be", "utf-32", "cp1251", "iso8859-5", "mac_cyrillic", "cp866", "cp1252",
    "latin-1", "iso8859-15", "cp437", "big5hkscs", "cp949", "euc_kr",
             "iso2022_jp", "johab", "hz", "gbk", "tis_620", "cp1140", "ptcp154", "utf_8_sig",
             "raw_unicode_escape", "unicode_escape"):
    data = text.encode(name, "replace")
    print(name, data.hex(), len(data.decode(name)))

# %% standard-library-imports-late
def lazily():
    import xml.dom.expatbuilder, email.mime.nonmultipart, concurrent.futures.process, json.scanner, asyncio.staggered
    import urllib.robotparser, http.cookiejar, importlib.resources.abc, logging.handlers, multiprocessing.connection
    import unittest.async_case, ctypes.wintypes, encodings.mac_cyrillic, sqlite3.dbapi2, wsgiref.headers
    return xml.dom.expatbuilder.__name__, encodings.mac_cyrillic.__name__
lazily()

# %% thread-pool-of-multiprocessing
from multiprocessing.pool import ThreadPool
with ThreadPool(2) as pool:
    result = pool.map(len, ["a", "bb", "ccc"]), pool.starmap(pow, [(2, 3), (3, 2)])
result

# %% json-lines-and-generators
import json, io
stream = io.StringIO()
for i in range(3):
    stream.write(json.dumps({"i": i, "sq": i * i}) + "\n")
stream.seek(0)
rows = [json.loads(line) for line in stream]
print(json.dumps(rows, indent=1))
(sum(r["sq"] for r in rows), list(json.JSONEncoder().iterencode([1, {"a": 2}])),
 json.JSONDecoder().raw_decode('[1] rest'))

# %% deprecations-are-shown (3.12)
import datetime
datetime.datetime.utcfromtimestamp(0)

# %% argparse-subcommands
import argparse
p = argparse.ArgumentParser(prog="git")
sub = p.add_subparsers(dest="command", required=True)
add = sub.add_parser("add", help="add files")
add.add_argument("paths", nargs="*")
add.add_argument("--all", "-A", action="store_true")
commit = sub.add_parser("commit")
commit.add_argument("-m", "--message", required=True)
commit.set_defaults(run=lambda a: f"commit {a.message!r}")
group = p.add_mutually_exclusive_group()
group.add_argument("--quiet", action="store_true")
group.add_argument("--loud", action=argparse.BooleanOptionalAction)
a = p.parse_args(["commit", "-m", "first"])
print(p.format_usage())
a.run(a), p.parse_args(["--quiet", "add", "x", "y", "-A"]), p.parse_args(["--no-loud", "add"]).loud

# %% time-zones-of-the-process
import time, datetime
print(time.tzname[0], time.timezone, time.daylight)
t = time.localtime(0)
(t.tm_year, time.strftime("%H:%M %Z", t), datetime.datetime.fromtimestamp(86400).isoformat(),
 datetime.datetime(2024, 6, 1).astimezone().utcoffset())

# %% locale-details
import locale
print(locale.getpreferredencoding(), locale.getlocale()[0], locale.setlocale(locale.LC_ALL))
try:
    locale.setlocale(locale.LC_ALL, "xx_XX.no-such")
except locale.Error as e:
    print(e)
f"{1234567.891:n}", locale.currency(5) if locale.localeconv()["currency_symbol"] else "no currency"
'''
