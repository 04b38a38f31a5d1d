"""Snippets: strings, formatting, bytes, containers and their methods."""

CELLS = r'''
# %% string-literals
a = 'single' "double" """triple
lines"""
print(a, r"\n raw", "tab\tquote\"", '\x41\u20ac\N{BULLET}\101', "\U0001F600")
b"bytes\x00\xff", br"\d", f"{1}" "joined", len("\\"), "line \
continued"

# %% string-methods-case
s = "hello World ßtraße"
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), s.casefold(), "iİ".lower()

# %% string-methods-search
s = "banana split"
print(s.find("an"), s.rfind("an"), s.index("split"), s.count("an"), s.find("x"))
print(s.startswith(("ba", "x")), s.endswith("lit"), "na" in s)
try:
    s.index("zzz")
except ValueError as e:
    print(e)
s.replace("a", "o", 2), s.partition("a"), s.rpartition("a"), s.partition("-")

# %% string-methods-split-join
print("a,b,,c".split(","), " a  b ".split(), "a b c".split(maxsplit=1), "a.b.c".rsplit(".", 1))
print("one\ntwo\r\nthree\x0bfour".splitlines(), "a\nb\n".splitlines(keepends=True))
"-".join("abc"), ", ".join(map(str, [1, 2])), "".join(reversed("xyz")), "x".join([])

# %% string-methods-strip-pad
print(repr("  x \n".strip()), "xxhixx".strip("x"), "..a".lstrip("."), "a..".rstrip("."))
print("TestCase".removeprefix("Test"), "file.py".removesuffix(".py"), "7".zfill(3), "-7".zfill(4))
"ab".ljust(5, "."), "ab".rjust(5), "ab".center(7, "*"), "a\tb".expandtabs(4)

# %% string-methods-tests
tests = ["abc", "ABC", "a1", "12", "½", "٣", " \t", "", "Title Case", "snake_case", "é"]
for t in tests:
    print(repr(t),
        [n for n in ("isalpha", "isdigit", "isdecimal", "isnumeric", "isalnum", "isspace", "isupper", "islower",
                                "istitle", "isidentifier", "isascii", "isprintable") if getattr(t, n)()])

# %% string-translate
table = str.maketrans("abc", "xyz", "!")
caesar = str.maketrans({chr(97 + i): chr(97 + (i + 3) % 26) for i in range(26)})
"aabbcc!!d".translate(table), "hello zebra".translate(caesar), "x".translate({120: None}), "ab".translate({97: "long"})

# %% string-formatting-percent
print("%s is %d years, %5.2f%% %r" % ("Ann", 30, 99.5, "q"))
print("%(name)s=%(value)08.3f" % {"name": "x", "value": 3.14159})
"%x %X %o %e %g %c %+d %-5d| %05d %*d" % (255, 255, 8, 12345.678, 0.00001, 65, 5, 5, 42, 6, 1)

# %% string-format-method
print("{} {} {0}".replace("{0}", "{}").format(1, 2, 3), "{1} {0}".format("a", "b"),
    "{x.real} {y[0]} {z[k]}".format(x=3, y=[1], z={"k": 2}))
print("{:>8}|{:<8}|{:^8}|{:*^8}".format("r", "l", "c", "f"), "{:{w}.{p}f}".format(3.14159, w=9, p=2), "{{}}".format())
"{!r:>6} {!s} {!a}".format("x", "y", "é"), "{a}".format_map({"a": 1})

# %% f-string-specs-numbers
n, x = 1234567, 3.14159265
print(f"{n:,} {n:_} {n:e} {n:.3e} {n:b} {n:#x} {n:#010b} {n:08d} {n:+} {n: } {-n:>12,}")
print(f"{x:.2f} {x:10.3f}| {x:<10.1f}| {x:^10.2f}| {x:+.1f} {x:g} {x:.0f} {x:%} {0.256:.1%} {x:e} {x:010.3f}")
print(f"{1e10:g} {1e-7:g} {123456789.0:g} {1e22} {1e16} {0.1 + 0.2} {100.0} {1e-5} {float('nan'):f}")
print(f"{-0.0:.1f} {float('inf'):>8}")
f"{n:n} {255:c} {3 + 4j:.1f} {True:d} {True} {12345.678:,.2f} {0:=+5d} {42:=^+9}"

# %% f-string-specs-text
s = "text"
width, prec = 10, 2
print(f"{s:>10}|{s:<10}|{s:^10}|{s:*^10}|{s:.2}|{s:{width}.{prec}}|{s!r:>8}|{s!s}|{'é'!a}")
print(f"{s=} {1 + 1 = } {s.upper()=!s} {width=:>5} {{literal}} {'nested ' + f'{s}'}")
f"{'a' if s else 'b'}", f"{[i for i in range(3)]}", f"{ {'k': 1}['k'] }", f"{(lambda v: v * 2)(4)}", f"""{
    s}"""

# %% f-string-dates-and-objects
import datetime
from decimal import Decimal
d = datetime.datetime(2024, 3, 5, 14, 7, 9)
class Money:
    def __init__(self, v): self.v = v
    def __format__(self, spec): return f"${self.v:{spec or '.2f'}}"
print(f"{d:%Y-%m-%d %H:%M} {d:%A %d %B %y, %I %p} {d.date():%j} {d!s}")
f"{Money(3)} {Money(1234.5):,.1f} {Decimal('1.10'):.3f} {None} {b'x'!r} {str(object):>20}"

# %% f-string-raw-and-multiline
name, n = "x", 5
print(rf"\d{{{n}}} {name}\n", f"a {name} "
      f"b {n} " "c {n}")
f"""
{name}: {n:>3}
  {'-' * n}"""

# %% format-builtin-errors
for value, spec in [(5, "q"), ("s", "d"), ([1], ">5"), (1.5, "d"), (5, ".2d"), ("s", "=5")]:
    try:
        print(format(value, spec))
    except (ValueError, TypeError) as e:
        print(type(e).__name__, e)

# %% number-reprs
print(1e100, 1.0, 1e15, 123456789012345678.0, 5e-324, 1.7976931348623157e308, -0.0, 0.1, 1 / 3, 2 / 3)
print(float("1e3"), float("  -2.5 "), float("1_000.5"), float("infinity"), int(1e18), 10 ** 20)
((0.1).hex(), float.fromhex("0x1.8p1"), (2.5).as_integer_ratio(), (255).to_bytes(2, "big"),
 int.from_bytes(b"\x01\x00", "little"), (10).bit_count())

# %% string-comparison-and-sort
words = ["banana", "apple", "Cherry", "äpfel", "10", "9"]
(sorted(words), sorted(words, key=str.lower), sorted(words, key=len, reverse=True), "a" < "b" < "ba", max(words),
 "Z" < "a")

# %% string-iteration
s = "mississippi"
counts = {}
for ch in s:
    counts[ch] = counts.get(ch, 0) + 1
print(counts, sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])))
"".join(dict.fromkeys(s)), s[::-1], s == s[::-1], [s[i:i + 3] for i in range(0, len(s), 3)]

# %% palindrome-and-anagram
import re
def palindrome(t): return (c := re.sub(r"\W", "", t.lower())) == c[::-1]
groups = {}
for w in ["eat", "tea", "tan", "ate", "nat", "bat"]:
    groups.setdefault("".join(sorted(w)), []).append(w)
palindrome("A man, a plan, a canal: Panama"), list(groups.values())

# %% bytes-and-bytearray
b = b"hello"
ba = bytearray(b)
ba[0] = 72
ba.extend(b" you")
print(b[0], b[1:3], list(b[:2]), b.hex(), bytes.fromhex("68 69"), bytes(3), bytes([65, 66]), ba)
del ba[5:]
try:
    b[0] = 1
except TypeError as e:
    print(e)
b + b"!", b.decode(), "é".encode(), "é".encode("latin-1"), ba.upper(), b.split(b"l"), b"%d-%s" % (5, b"x"), b"a" in b

# %% memoryview
data = bytearray(b"abcdef")
m = memoryview(data)
m[1:3] = b"XY"
print(m[0], bytes(m[2:4]), m.nbytes, m.readonly, m.tolist())
w = memoryview(bytearray(8)).cast("I")
w[0] = 7
data, w.tolist(), m[::-1].tobytes()

# %% encodings
s = "naïve €5 日本"
for enc in ("utf-8", "utf-16-le", "utf-32-be", "utf-7", "gb18030"):
    print(enc, s.encode(enc).hex(), s.encode(enc).decode(enc) == s)
print("é".encode("cp1252"), "ж".encode("koi8-r"), "あ".encode("shift_jis"), "é".encode("utf-8-sig"))
print("é".encode("cp437"))
(s.encode("ascii", "ignore"), s.encode("ascii", "replace"), s.encode("latin-1", "backslashreplace"),
 "ü".encode("ascii", "xmlcharrefreplace"), "é".encode("ascii", "namereplace"))

# %% codecs
import codecs
print(codecs.encode("Hello", "rot13"), codecs.encode(b"hi", "hex"), codecs.encode(b"hi", "base64"),
    codecs.lookup("UTF8").name)
print(b"caf\xc3".decode("utf-8", "replace"),
    b"\xff".decode("utf-8", "surrogateescape").encode("utf-8", "surrogateescape"))
d = codecs.getincrementaldecoder("utf-8")()
print(d.decode(b"\xe2\x82"), d.decode(b"\xac"))
"bücher.example".encode("idna"), "bücher".encode("punycode"), "a\\n".encode().decode("unicode_escape"), codecs.BOM_UTF8

# %% encoding-errors
for f in (lambda: b"\xe9".decode(), lambda: "日".encode("latin-1"), lambda: "x".encode("no-such-codec"),
    lambda: b"\x80".decode("ascii"),
          lambda: "\ud800".encode()):
    try:
        f()
    except (UnicodeError, LookupError) as e:
        print(type(e).__name__, e)

# %% lone-surrogates-and-odd-text
s = "a\ud800b"
print(len(s), ascii(s), repr("\x00\x1b\u200b\xa0"), "\a\b".encode())
s

# %% unicodedata
import unicodedata
s = "é"
d = unicodedata.normalize("NFD", s)
print(len(s), len(d), unicodedata.name("€"), unicodedata.lookup("SNOWMAN"), unicodedata.category("A"),
    unicodedata.numeric("½"))
("".join(c for c in unicodedata.normalize("NFKD", "Ångström ﬁ") if not unicodedata.combining(c)),
 unicodedata.east_asian_width("日"), unicodedata.bidirectional("א"))

# %% list-methods
l = [3, 1, 2]
l.append(4); l.extend("ab"); l.insert(0, "first"); l.remove("a")
print(l, l.pop(), l.pop(0), l.index(2), l.count(1))
l.sort(); l.reverse()
m = l.copy()
m.clear()
for bad in (lambda: l.remove(99), lambda: [].pop(), lambda: l.index("zz"), lambda: [1, "a"].sort()):
    try:
        bad()
    except (ValueError, IndexError, TypeError) as e:
        print(type(e).__name__, e)
l, m, l * 2, [0] * 3, l + [9], [1, 2] < [1, 3]

# %% list-sorting
people = [("Ann", 30), ("Bob", 25), ("Cy", 30)]
from operator import itemgetter
people.sort(key=itemgetter(1), reverse=True)
print(people, sorted(people, key=lambda p: (p[1], p[0])), sorted([True, 3, 2.5, False]))
matrix = [[1, 2, 3], [4, 5, 6]]
[list(r) for r in zip(*matrix)], [x for row in matrix for x in row], max(matrix, key=sum), sorted({"b": 1, "a": 2})

# %% dict-methods
d = {"a": 1, "b": 2}
d.update(c=3, a=10)
d |= {"d": 4}
print(d, d.pop("b"), d.popitem(), d.get("zz"), d.get("zz", 0), d.setdefault("e", []), list(d), d.keys() & {"a", "q"})
print({**d, "x": 1}, d | {"a": 0}, dict(a=1, b=2), dict([("k", "v")]), dict.fromkeys("ab", 0), list(reversed(d)),
    list(d.items()))
try:
    {[]: 1}
except TypeError as e:
    print(e)
({v: k for k, v in {"x": 1}.items()}, min(d, key=lambda k: str(d[k])), {1: "int", 1.0: "float", True: "bool"},
 d.items() >= {("a", 10)})

# %% dict-views-and-order
d = {"z": 1, "a": 2}
keys = d.keys()
d["new"] = 3
del d["z"]
d["z"] = 0
keys, d.values(), d.items(), len(keys), {"a": 1, "b": 2} == {"b": 2, "a": 1}

# %% set-methods
a, b = {1, 2, 3, 4}, {3, 4, 5}
print(a | b, a & b, a - b, a ^ b, a <= b, {3} < b, a.isdisjoint({9}))
a.add(9); a.discard(77); a.update([10], (11,)); a.remove(1)
a &= {2, 3, 9}
try:
    a.remove(1000)
except KeyError as e:
    print("KeyError", e)
frozenset([1, 2]) | {3}, a, set("hello"), {frozenset([1]): "f"}, set() or "empty", {*"ab", *"bc"}

# %% set-order-of-strings
colors = {"red", "green", "blue", "yellow", "purple"}
print(colors)
list(colors), set("the quick brown fox".split()), {("a", 1), ("b", 2)}

# %% hash-values
hash("text"), hash(b"text"), hash((1, "a")), hash(3.5), hash(None) == hash(None), hash(2 ** 61), hash(frozenset("ab"))

# %% tuple-and-range
t = (1, 2, 2, 3)
r = range(10, 0, -3)
print(t.count(2), t.index(3), t + (4,), t * 2, (1,), (), tuple("ab"), (1, 2) < (1, 2, 0))
print(r, list(r), len(r), 7 in r, r[1], r[-1], r[::2], range(0) == range(5, 5), range(3) == range(0, 3, 1))
try:
    t[0] = 5
except TypeError as e:
    print(e)
t[1:], hash((1, 2)) == hash((1, 2)), r.index(4), sum(range(101))

# %% nested-data
data = {"users": [{"name": "Ann", "langs": ["py", "c"]}, {"name": "Bob", "langs": []}],
    "n": {"deep": {"er": [1, (2, {3})]}}}
for u in data["users"]:
    print(f"{u['name']:<5} {', '.join(u['langs']) or '-'}")
data["n"]["deep"]["er"][1][1].add(4)
data["users"][0] | {"age": 3}, data["n"]

# %% self-referencing-repr
l = [1]
l.append(l)
d = {}
d["me"] = d
print(l, d)
l[1] is l, repr(d)

# %% string-constants-and-template
import string
print(string.ascii_lowercase, string.digits, string.punctuation, repr(string.whitespace), string.hexdigits)
t = string.Template("$name owes $$${amount}")
try:
    t.substitute(name="x")
except KeyError as e:
    print("missing", e)
(t.substitute(name="Ann", amount=5), t.safe_substitute(name="Bob"), string.capwords("the end of it"),
 string.Formatter().format("{0}-{k}", 1, k=2))

# %% textwrap
import textwrap
text = "The quick brown fox jumps over the lazy dog, again and again and again."
print(textwrap.fill(text, 30, initial_indent="* ", subsequent_indent="  "))
print(textwrap.dedent("""\
    first
      second
    third"""))
textwrap.wrap(text, 25), textwrap.shorten(text, 30, placeholder="..."), textwrap.indent("a\n\nb", "> ")

# %% regex-basics
import re
s = "Call 555-1234 or 555-9876, or mail ann@example.com"
print(re.findall(r"\d{3}-\d{4}", s), re.search(r"(\w+)@(\w+)\.com", s).groups(), re.split(r"[,\s]+", "a, b  c"))
m = re.match(r"(?P<first>\w+) (?P<num>[\d-]+)", s)
print(m, m.group("num"), m.groupdict(), m.span(), m.start(2), m[0], m.expand(r"\2:\g<first>"))
(re.sub(r"\d", "#", s, count=3), re.subn("or", lambda m: m[0].upper(), s), re.fullmatch(r"\d+", "12a"),
 re.escape("a.b*c"))

# %% regex-advanced
import re
pattern = re.compile(r"""
    (?P<year>\d{4}) - (?P<month>\d\d)   # date
    (?:-(?P<day>\d\d))?
""", re.VERBOSE)
print([m.groupdict() for m in pattern.finditer("2024-01-15 and 1999-12")], pattern.groups, pattern.flags, pattern)
print(re.findall(r"(?<=\$)\d+(?!\d|%)", "$15 $20% 30"), re.findall(r"^\w+", "one\ntwo", re.M),
    re.findall(r"(a)(b)?", "ab a"))
print(re.sub(r"(?i)(hello) (\w+)", r"\2 \1", "HELLO there"), re.search(r"<.+?>", "<a><b>").group(),
    re.split(r"(-)", "a-b-c"))
(re.findall(r"(\w)\1", "aabbcd"), re.sub(r"\b(\w)", lambda m: m[1].upper(), "the end"), re.search("(?s)a.b", "a\nb"),
 re.findall(r"\d++", "12 3"), re.purge())

# %% regex-tokenizer
import re
def tokenize(code):
    spec = [("NUM", r"\d+(\.\d*)?"), ("ID", r"[A-Za-z_]\w*"), ("OP", r"[+\-*/=()]"), ("SKIP", r"[ \t]+"), ("BAD", r".")]
    for m in re.finditer("|".join(f"(?P<{n}>{p})" for n, p in spec), code):
        if m.lastgroup == "BAD":
            raise SyntaxError(f"unexpected {m.group()!r} at {m.start()}")
        if m.lastgroup != "SKIP":
            yield m.lastgroup, m.group()
print(list(tokenize("x1 = 3.5*(y + 2)")))
list(tokenize("a ? b"))

# %% string-io
import io
f = io.StringIO("line 1\nline 2\nline 3")
print(f.readline(), f.read(3), f.tell(), f.readlines())
f.seek(0); f.truncate(6)
b = io.BytesIO(b"\x01\x02\x03\x04")
b.seek(-2, io.SEEK_END)
t = io.TextIOWrapper(io.BytesIO("é\r\nx".encode()), encoding="utf-8", newline=None)
[line.strip() for line in io.StringIO("a\nb\n")], f.getvalue(), b.read(1), b.getbuffer().nbytes, t.read()

# %% print-table
rows = [("apple", 3, 0.5), ("banana", 12, 0.25), ("kiwi", 100, 1.0)]
print(f"{'item':<10}{'qty':>5}{'price':>8}")
print("-" * 23)
for name, qty, price in rows:
    print(f"{name:<10}{qty:>5}{price:>8.2f}")
print(f"{'total':<10}{sum(q for _, q, _ in rows):>5}{sum(q * p for _, q, p in rows):>8.2f}")

# %% int-max-str-digits
import sys
print(sys.get_int_max_str_digits())
try:
    str(10 ** 5000)
except ValueError as e:
    print(e)
sys.set_int_max_str_digits(0)
len(str(10 ** 5000))

# %% long-output
for i in range(300):
    print(i, "x" * 50)
"y" * 3000

# %% carriage-return-and-bells
for i in range(3):
    print(f"\rprogress {i}", end="")
print("\n\x1b[31mred\x1b[0m\ttab\fform\vvertical")

# %% set-methods-by-name
a, b = {1, 2, 3}, {3, 4}
print(a.union(b, [9]), a.intersection(b), a.difference(b), a.symmetric_difference(b), a.issubset({1, 2, 3, 4}),
    a.issuperset([1]))
a.intersection_update({2, 3}); b.difference_update([4]); b.symmetric_difference_update({7})
a, b, a.copy() is a, set.union(*[{1}, {2}]), {1}.isdisjoint([2]), len(a), sorted(a | b, reverse=True)

# %% string-and-float-leftovers
print("abcabc".rindex("b"), b"abcabc".rindex(b"b"), b"Ab".istitle(), b" ".isspace(), b"a1".isalnum(), b"ab".islower(),
    b"x".isascii())
((5.0).is_integer(), (5).denominator, (2.5).conjugate(), "a".encode().decode("ascii"), "ab".__contains__("b"),
 "%s" % (1,), "%%" % ())
'''
