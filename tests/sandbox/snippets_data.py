"""Snippets: numbers, dates, collections and algorithms of the standard library."""

CELLS = r"""
# %% math-module
import math
print(math.pi, math.e, math.tau, math.inf, math.sqrt(2), math.isqrt(17), math.factorial(20), math.comb(5, 2),
    math.perm(5, 2))
print(math.gcd(12, 18, 30), math.lcm(4, 6), math.hypot(3, 4), math.dist([0, 0], [1, 1]), math.prod([1, 2, 3, 4]),
    math.fsum([0.1] * 10))
print(math.floor(-2.5), math.ceil(-2.5), math.trunc(-2.7), math.fmod(-7, 3), math.modf(3.25), math.frexp(8.0),
    math.copysign(1, -0.0))
print(math.isclose(0.1 + 0.2, 0.3), math.isnan(math.nan), math.degrees(math.pi), math.radians(180), math.log(8, 2),
    math.log10(1000), math.log1p(1e-10))
(math.sin(1), math.atan2(1, -1), math.cbrt(27), math.exp2(10), math.gamma(5), math.erf(0.5), math.nextafter(1, 2),
 math.ulp(1.0))

# %% math-errors
import math
for f in (lambda: math.sqrt(-1), lambda: math.log(0), lambda: math.factorial(-1), lambda: math.exp(999),
    lambda: 2.0 ** 5000, lambda: math.gcd(1.5)):
    try:
        print(f())
    except (ValueError, OverflowError, TypeError) as e:
        print(type(e).__name__, e)

# %% cmath-module
import cmath
z = 1 + 1j
print(cmath.polar(z), cmath.phase(-1), cmath.sqrt(-4), cmath.rect(2, 0))
cmath.exp(1j * cmath.pi).real, cmath.isclose(z, 1 + 1.0000000001j), cmath.log(z)

# %% decimal-module
from decimal import Decimal, getcontext, localcontext, ROUND_HALF_UP, InvalidOperation, DivisionByZero
print(Decimal("0.1") + Decimal("0.2"), Decimal(0.1), Decimal(1) / 7, Decimal("1.10") * 3,
    Decimal("2.675").quantize(Decimal("0.01"), ROUND_HALF_UP))
getcontext().prec = 6
print(Decimal(1) / 7, Decimal(2).sqrt(), Decimal("123456.789") + 0)
with localcontext() as ctx:
    ctx.prec = 40
    print(Decimal(1) / 3)
try:
    Decimal(1) / 0
except DivisionByZero as e:
    print(type(e).__name__, e)
(Decimal("1E+3"), Decimal("-0"), Decimal("NaN"), Decimal("3.140").normalize(), Decimal("1.5").as_tuple(),
 int(Decimal("7.9")), f"{Decimal('1234.5'):,.2f}")

# %% fractions-module
from fractions import Fraction
a = Fraction(3, 4)
print(a + Fraction("1/6"), a * 2, a ** -2, Fraction(0.125), Fraction("0.75") == a, a.numerator, float(a))
(Fraction(3.14159).limit_denominator(100), sum(Fraction(1, n) for n in range(1, 6)), a > 0.7, round(Fraction(7, 2)),
 str(a))

# %% statistics-module
import statistics as st
data = [2, 4, 4, 4, 5, 5, 7, 9]
print(st.mean(data), st.median(data), st.mode(data), st.pstdev(data), st.stdev(data), st.variance(data),
    st.multimode("aabbc"))
print(st.quantiles(data, n=4), st.median_low(data), st.harmonic_mean([40, 60]), st.geometric_mean([2, 8]),
    st.fmean(data, weights=range(8)))
print(st.correlation([1, 2, 3], [2, 4, 7]), st.linear_regression([1, 2, 3], [2, 4, 6]), st.NormalDist(100, 15).cdf(130))
st.mean([])

# %% random-with-a-seed
import random
random.seed(42)
print(random.random(), random.randint(1, 6), random.choice("abc"), random.sample(range(100), 4), random.uniform(1, 2))
l = list(range(8))
random.shuffle(l)
rng = random.Random("text")
(l, random.choices("xyz", weights=[5, 1, 1], k=6), random.gauss(0, 1), rng.randrange(0, 100, 5), rng.getrandbits(16),
 random.triangular(0, 1), rng.randbytes(3))

# %% random-without-a-seed
import random, secrets, uuid, os
values = [random.random() for _ in range(200)]
print(all(0 <= v < 1 for v in values), len(set(values)) == 200, 1 <= random.randint(1, 6) <= 6)
(len(secrets.token_hex(8)), len(secrets.token_bytes(5)), len(secrets.token_urlsafe(16)), secrets.choice([7]),
 secrets.compare_digest("a", "a"), uuid.uuid4().version, len(os.urandom(4)))

# %% monte-carlo
import random
random.seed(1)
inside = sum(random.random() ** 2 + random.random() ** 2 < 1 for _ in range(20_000))
round(4 * inside / 20_000, 4)

# %% numbers-abc
import numbers
from decimal import Decimal
from fractions import Fraction
[[isinstance(v, t) for t in (numbers.Number, numbers.Real, numbers.Rational, numbers.Integral)] for v in (1, 1.5, 1j,
    True, Decimal(1), Fraction(1, 2))]

# %% collections-counter
from collections import Counter
c = Counter("mississippi")
c.update("miss")
print(c, c.most_common(2), c["z"], sum(c.values()), c.total(), list(c.elements())[:5])
c.subtract("mmm")
(c - Counter(s=2), Counter(a=3, b=1) & Counter(a=1, b=2), Counter(a=1) | Counter(a=2, b=1), +Counter(a=-1, b=2),
 Counter(["x", "y", "x"]))

# %% collections-defaultdict
from collections import defaultdict
groups = defaultdict(list)
for word in "apple avocado banana blueberry cherry".split():
    groups[word[0]].append(word)
tree = lambda: defaultdict(tree)
t = tree()
t["a"]["b"]["c"] = 1
counts = defaultdict(int, x=5)
counts["y"] += 1
print(groups, groups.get("z"), "z" in groups)
dict(groups), counts, t["a"]["b"], defaultdict(lambda: "none")["k"]

# %% collections-deque
from collections import deque
d = deque([1, 2, 3], maxlen=4)
d.append(4); d.append(5); d.appendleft(0)
d.rotate(1)
print(d, d.pop(), d.popleft(), d.maxlen, list(d), d.count(2))
d.extendleft("ab")
d, deque("abc")[1], deque([1]) + deque([2]), d.index("a"), deque([1, 2]) == deque([1, 2])

# %% collections-ordered-chainmap-user
from collections import OrderedDict, ChainMap, UserDict, UserList, UserString
o = OrderedDict(a=1, b=2)
o.move_to_end("a")
c = ChainMap({"x": 1}, {"x": 2, "y": 3})
c["new"] = 0
class Shout(UserString):
    def loud(self): return self.data.upper()
print(o, o.popitem(last=False), c["x"], c["y"], c.maps, c.new_child({"x": 9})["x"], list(c))
Shout("hi").loud(), UserList([1]) + [2], UserDict(a=1), c.parents, OrderedDict(a=1, b=2) == OrderedDict(b=2, a=1)

# %% itertools-infinite-and-chain
from itertools import (count, cycle, repeat, chain, islice, takewhile, dropwhile, accumulate, compress, filterfalse,
                       starmap, zip_longest, pairwise, tee)
print(list(islice(count(5, 2), 3)), list(islice(cycle("ab"), 5)), list(repeat("x", 3)), list(chain([1], "ab")),
    list(chain.from_iterable([[1], [2]])))
print(list(takewhile(lambda x: x < 3, [1, 2, 3, 1])), list(dropwhile(lambda x: x < 3, [1, 2, 3, 1])),
    list(accumulate([1, 2, 3], initial=10)))
print(list(compress("abcd", [1, 0, 1, 0])), list(filterfalse(str.isdigit, "a1b2")),
    list(starmap(pow, [(2, 3), (3, 2)])), list(pairwise("abcd")))
a, b = tee([1, 2])
list(zip_longest("ab", [1], fillvalue="-")), list(a), list(b), list(accumulate([3, 1, 4], max)), count(3)

# %% itertools-combinatorics
from itertools import product, permutations, combinations, combinations_with_replacement, groupby
print(list(product("ab", [1, 2])), list(permutations("abc", 2)), list(combinations("abcd", 2)))
print(len(list(product(range(3), repeat=3))), list(combinations_with_replacement("ab", 2)))
rows = [("fruit", "apple"), ("fruit", "pear"), ("veg", "kale"), ("fruit", "fig")]
([(k, [v for _, v in g]) for k, g in groupby(rows, key=lambda r: r[0])],
 [(k, len(list(g))) for k, g in groupby("aaabbc")])

# %% itertools-batched (3.12)
from itertools import batched
list(batched("abcdefg", 3)), [sum(b) for b in batched(range(7), 2)]

# %% operator-module
import operator as op
from operator import itemgetter, attrgetter, methodcaller
print(op.add(1, 2), op.mul("a", 3), op.contains([1], 1), op.truediv(1, 2), op.not_(0), op.concat("a", "b"),
    op.index(5), op.countOf([1, 1], 1))
(sorted([{"n": "b"}, {"n": "a"}], key=itemgetter("n")), itemgetter(0, 2)("abc"), attrgetter("real", "imag")(3 + 4j),
 methodcaller("split", ",")("a,b"), op.length_hint([1, 2]))

# %% heapq-module
import heapq
h = [5, 1, 8, 3]
heapq.heapify(h)
heapq.heappush(h, 0)
print(h, [heapq.heappop(h) for _ in range(3)], heapq.heappushpop(h, 2), heapq.heapreplace(h, 99))
heapq.nlargest(2, [1, 9, 5]), heapq.nsmallest(2, ["ccc", "a", "bb"], key=len), list(heapq.merge([1, 4], [2, 3])), h

# %% dijkstra
import heapq
graph = {"a": {"b": 7, "c": 3}, "b": {"d": 2}, "c": {"b": 1, "d": 8}, "d": {}}
def shortest(start):
    dist, queue = {start: 0}, [(0, start)]
    while queue:
        d, node = heapq.heappop(queue)
        if d > dist[node]: continue
        for to, w in graph[node].items():
            if d + w < dist.get(to, float("inf")):
                dist[to] = d + w
                heapq.heappush(queue, (d + w, to))
    return dist
shortest("a")

# %% bisect-module
import bisect
scores = [10, 20, 20, 30]
print(bisect.bisect(scores, 20), bisect.bisect_left(scores, 20),
    bisect.bisect_right([("a", 1), ("c", 3)], "b", key=lambda t: t[0]))
bisect.insort(scores, 25)
["FDCBA"[bisect.bisect([60, 70, 80, 90], s)] for s in (33, 60, 89, 95)], scores

# %% graphlib-module
from graphlib import TopologicalSorter, CycleError
order = list(TopologicalSorter({"d": {"b", "c"}, "b": {"a"}, "c": {"a"}}).static_order())
ts = TopologicalSorter({2: [1], 3: [1]})
ts.prepare()
print(ts.get_ready())
ts.done(1)
try:
    list(TopologicalSorter({1: [2], 2: [1]}).static_order())
except CycleError as e:
    print(e.args)
order[0], order[-1], sorted(ts.get_ready())

# %% array-module
from array import array
a = array("i", [1, 2, 3])
a.append(4)
a.extend([5])
b = array("d", [1.5])
try:
    a.append("x")
except TypeError as e:
    print(e)
a, a[1:3], a.itemsize, a.tobytes()[:4], b, a.tolist(), array("b", b"ab"), array("f", [0.1])

# %% copy-module
import copy
a = {"l": [1, 2], "t": ([3],)}
b, c = copy.copy(a), copy.deepcopy(a)
a["l"].append(9)
a["t"][0].append(9)
b, c, b["l"] is a["l"], copy.copy([1]) == [1]

# %% datetime-basics
from datetime import datetime, date, time, timedelta, timezone
d = datetime(2024, 2, 28, 23, 30, 15, 123456)
print(d, d + timedelta(hours=1), d.date(), d.time(), d.replace(year=2023), d.isoformat(timespec="minutes"),
    d.weekday(), d.isocalendar())
print(d - datetime(2024, 1, 1), (d - datetime(2024, 1, 1)).total_seconds(), timedelta(days=1, seconds=-5),
    timedelta(hours=25) // timedelta(hours=2))
print(date(2024, 3, 1) - date(2024, 2, 1), date.fromisoformat("2024-12-25").strftime("%a %d %b %Y"),
    datetime.strptime("3/4/21 5PM", "%d/%m/%y %I%p"))
(d, date(2024, 1, 31), time(9, 5), timedelta(days=-1, hours=3), timezone.utc, datetime.min, date.max,
 str(timedelta(days=400, microseconds=5)))

# %% datetime-zones
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
utc = datetime(2024, 7, 1, 12, tzinfo=timezone.utc)
for zone in ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"):
    local = utc.astimezone(ZoneInfo(zone))
    print(zone, local.isoformat(), local.tzname(), local.dst(), local.utcoffset())
winter = datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/London"))
fold = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
print(winter, winter + timedelta(days=180), fold.utcoffset(), fold.replace(fold=1).utcoffset())
(utc, utc.timestamp(), datetime.fromtimestamp(0, timezone.utc), datetime.fromisoformat("2024-01-01T10:00:00+02:00"),
 timezone(timedelta(hours=-3), "BRT"), ZoneInfo("UTC"))

# %% datetime-zone-errors
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones
try:
    ZoneInfo("Mars/Olympus")
except ZoneInfoNotFoundError as e:
    print(type(e).__name__, e)
import datetime
try:
    datetime.datetime(2024, 1, 1) < datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
except TypeError as e:
    print(e)
"Europe/Paris" in available_timezones()

# %% datetime-today
from datetime import datetime, date, timezone
import time
a, b = datetime.now(timezone.utc), time.time()
abs(a.timestamp() - b) < 60, (date.today() - a.date()).days in (-1, 0, 1), datetime.now().year >= 2024

# %% datetime-errors
import datetime as dt
for f in (lambda: dt.date(2023, 2, 29), lambda: dt.datetime.strptime("x", "%Y"),
    lambda: dt.date.fromisoformat("nope"), lambda: dt.timedelta(days=10 ** 10),
          lambda: dt.datetime(2024, 13, 1), lambda: dt.time(25), lambda: dt.date(2024, 1, 1) - 5):
    try:
        f()
    except (ValueError, OverflowError, TypeError) as e:
        print(type(e).__name__, e)

# %% calendar-module
import calendar
print(calendar.month(2024, 2))
print(calendar.isleap(2000), calendar.monthrange(2023, 2), calendar.weekday(2024, 7, 4),
    calendar.leapdays(2000, 2025), calendar.timegm((1970, 1, 2, 0, 0, 0)))
(calendar.monthcalendar(2024, 2)[0], list(calendar.day_abbr), calendar.month_name[3],
 calendar.TextCalendar(6).formatmonth(2023, 1).splitlines()[1])

# %% age-and-workdays
from datetime import date, timedelta
def age(born, on): return on.year - born.year - ((on.month, on.day) < (born.month, born.day))
def workdays(a, b): return sum((a + timedelta(i)).weekday() < 5 for i in range((b - a).days))
days = [date(2024, 1, 31) + timedelta(weeks=w) for w in range(3)]
age(date(1990, 7, 5), date(2024, 7, 4)), workdays(date(2024, 1, 1), date(2024, 2, 1)), [f"{d:%d.%m.}" for d in days]

# %% hashlib-and-hmac
import hashlib, hmac
print(hashlib.sha256(b"abc").hexdigest(), hashlib.md5(b"").hexdigest(), hashlib.sha1(b"x").digest()[:4],
    hashlib.sha3_256(b"a").hexdigest()[:16])
h = hashlib.new("sha512")
h.update(b"part 1"); h.update(b"part 2")
print(hmac.new(b"key", b"msg", "sha256").hexdigest(), hmac.compare_digest(b"a", b"a"),
    sorted(hashlib.algorithms_guaranteed)[:3])
(h.hexdigest()[:20], h.block_size, hashlib.blake2b(b"x", digest_size=8).hexdigest(),
 hashlib.pbkdf2_hmac("sha256", b"pw", b"salt", 100).hex()[:16], hashlib.shake_128(b"").hexdigest(4))

# %% base64-and-binascii
import base64, binascii
e = base64.b64encode("héllo wörld".encode())
print(e, base64.b64decode(e).decode(), base64.urlsafe_b64encode(b"\xff\xfe"), base64.b32encode(b"hi"),
    base64.b16encode(b"hi"), base64.b85encode(b"data!"))
try:
    base64.b64decode("abc")
except binascii.Error as err:
    print(err)
binascii.hexlify(b"\x01\xab"), binascii.crc32(b"hello"), binascii.unhexlify("01ab"), base64.a85encode(b"x")

# %% uuid-module
import uuid
u = uuid.uuid5(uuid.NAMESPACE_DNS, "python.org")
print(u, u.hex, u.version, u.int % 1000, uuid.UUID("12345678-1234-5678-1234-567812345678").bytes[:3])
u, uuid.uuid3(uuid.NAMESPACE_URL, "x"), len(str(uuid.uuid4())), uuid.UUID(int=5), uuid.uuid1().version

# %% struct-module
import struct
p = struct.pack(">IhB3s", 1, -2, 255, b"abc")
print(p, struct.unpack(">IhB3s", p), struct.calcsize("=dif"), list(struct.iter_unpack("<H", b"\x01\x00\x02\x00")))
s = struct.Struct("<2f")
s.pack(1.5, -2), s.size, struct.unpack_from("B", b"\x00\x07", 1), struct.pack("?", True)

# %% compression
import zlib, gzip, bz2, lzma
data = b"compress me please " * 50
for m in (zlib, gzip, bz2, lzma):
    c = m.compress(data)
    print(m.__name__, len(c) < len(data), m.decompress(c) == data)
d = zlib.decompressobj()
try:
    zlib.decompress(b"garbage")
except zlib.error as e:
    print(e)
d.decompress(zlib.compress(data))[:11], zlib.crc32(b"x"), zlib.adler32(b"x"), gzip.compress(b"a", mtime=0)[:4]

# %% bit-tricks
def bits(n): return f"{n & 0xFF:08b}"
n = 0b10110010
print(bits(n), bits(~n), bits(n << 1), n & -n, n & (n - 1), bin(n).count("1"), n.bit_length())
print([i for i in range(8) if n >> i & 1], -1 >> 5, -5 & 0xF, 1 << 70)
gray = [i ^ i >> 1 for i in range(8)]
gray, (-5).to_bytes(2, "big", signed=True), int("10110", 2)

# %% primes-sieve
def sieve(n):
    flags = bytearray([1]) * (n + 1)
    flags[:2] = b"\0\0"
    for i in range(2, int(n ** 0.5) + 1):
        if flags[i]:
            flags[i * i::i] = bytes(len(range(i * i, n + 1, i)))
    return [i for i, f in enumerate(flags) if f]
p = sieve(10_000)
len(p), p[:10], p[-1]

# %% matrix-operations
A = [[1, 2], [3, 4]]
B = [[0, 1], [1, 0]]
mul = lambda X, Y: [[sum(a * b for a, b in zip(r, c)) for c in zip(*Y)] for r in X]
def det(m):
    if len(m) == 1: return m[0][0]
    return sum((-1) ** c * m[0][c] * det([r[:c] + r[c + 1:] for r in m[1:]]) for c in range(len(m)))
def power(m, n): return m if n == 1 else mul(power(m, n // 2), power(m, n - n // 2))
for row in mul(A, B): print(*row)
det([[2, 0, 1], [1, 3, 2], [1, 1, 1]]), power([[1, 1], [1, 0]], 50)[0][1]

# %% dynamic-programming
from functools import cache
@cache
def edit(a, b):
    if not a or not b: return len(a) + len(b)
    return min(edit(a[1:], b) + 1, edit(a, b[1:]) + 1, edit(a[1:], b[1:]) + (a[0] != b[0]))
def change(coins, total):
    ways = [1] + [0] * total
    for c in coins:
        for t in range(c, total + 1): ways[t] += ways[t - c]
    return ways[total]
def lis(s):
    import bisect
    tails = []
    for x in s:
        i = bisect.bisect_left(tails, x)
        tails[i:i + 1] = [x]
    return len(tails)
edit("kitten", "sitting"), change((1, 5, 10, 25, 50), 100), lis([3, 1, 4, 1, 5, 9, 2, 6])

# %% backtracking-queens
def queens(n, rows=()):
    if len(rows) == n:
        yield rows
        return
    for c in range(n):
        if all(c != r and abs(c - r) != len(rows) - i for i, r in enumerate(rows)):
            yield from queens(n, (*rows, c))
solutions = list(queens(6))
for r in solutions[0]:
    print("." * r + "Q" + "." * (5 - r))
len(solutions), solutions[-1], sum(1 for _ in queens(7))

# %% game-of-life
cells = {(1, 0), (1, 1), (1, 2)}
def step(cells):
    from collections import Counter
    n = Counter((x + dx, y + dy) for x, y in cells for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0))
    return {c for c, k in n.items() if k == 3 or k == 2 and c in cells}
for _ in range(2):
    print("\n".join("".join("#" if (x, y) in cells else "." for x in range(3)) for y in range(3)), end="\n\n")
    cells = step(cells)
sorted(cells)

# %% graph-search
from collections import deque
maze = ["S.#", "..#", "#.E"]
def solve(maze):
    start, queue, seen = (0, 0), deque([((0, 0), [(0, 0)])]), {(0, 0)}
    while queue:
        (r, c), path = queue.popleft()
        if maze[r][c] == "E": return path
        for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            n = r + dr, c + dc
            if 0 <= n[0] < 3 and 0 <= n[1] < 3 and n not in seen and maze[n[0]][n[1]] != "#":
                seen.add(n)
                queue.append((n, path + [n]))
solve(maze)

# %% group-and-aggregate
sales = [("north", "tea", 3), ("south", "tea", 5), ("north", "coffee", 7), ("south", "tea", 1)]
from collections import defaultdict
by = defaultdict(lambda: defaultdict(int))
for region, item, n in sales:
    by[region][item] += n
for region, items in sorted(by.items()):
    print(f"{region:<6}", dict(items), "total", sum(items.values()))
best = max(sales, key=lambda s: s[2])
{r: dict(i) for r, i in by.items()}, best, round(sum(n for *_, n in sales) / len(sales), 2)

# %% roman-and-base-conversion
def roman(n):
    out = ""
    for v, s in [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"),
        (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]:
        while n >= v:
            out, n = out + s, n - v
    return out
def base(n, b):
    return (base(n // b, b) if n >= b else "") + "0123456789abcdefghijklmnopqrstuvwxyz"[n % b]
[roman(n) for n in (4, 1994, 2024)], base(255, 16), base(2 ** 40, 36), int(base(12345, 7), 7)

# %% cpu-loop
def collatz_longest(limit):
    best = (0, 0)
    for start in range(1, limit):
        n, steps = start, 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        best = max(best, (steps, start))
    return best
collatz_longest(3000)

# %% sort-algorithms
def quick(a):
    if len(a) < 2: return a
    first, *rest = a
    return quick([x for x in rest if x < first]) + [first] + quick([x for x in rest if x >= first])
def merge(a):
    if len(a) < 2: return a
    l, r, out = merge(a[:len(a) // 2]), merge(a[len(a) // 2:]), []
    while l and r: out.append((l if l[0] <= r[0] else r).pop(0))
    return out + l + r
def bubble(a):
    a = a[:]
    for i in range(len(a)):
        for j in range(len(a) - 1 - i):
            if a[j] > a[j + 1]: a[j], a[j + 1] = a[j + 1], a[j]
    return a
data = [(i * 7919) % 101 for i in range(40)]
quick(data) == merge(data) == bubble(data) == sorted(data), quick(data)[:6]
"""
