"""Answers at the wrong time, and calls, answers and output in floods, past the runtime."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

ATTEMPTS = r"""
### half a frame and silence | stopped or killed
forge(struct.pack(">I", 1000) + b'{"t":"out"')
time.sleep(60)

### half a frame and an end | killed
forge(struct.pack(">I", 1000) + b'{"t":"out"')
os._exit(0)

### half a frame, then the runtime's own | killed or stopped | tampers
forge(struct.pack(">I", 1000) + b'{"t":"out"')

### a frame one byte at a time | == "slow" | tampers
for byte in body(json.dumps({"t": "out", "s": "drop by drop"}).encode()):
    os.write(3, bytes([byte]))
"slow"

### an answer and then a life of its own | == "early" | tampers
forge(done(v="early", repr="'early'"))
while True:
    pass

### an answer and then another | killed or == "one" or == 2 | tampers
forge(done(v="one"))
forge(done(v="two"))
2

### a thousand answers | killed or == "one" | tampers
forge(*[done(v="one")] * 1000)
time.sleep(60)

### an answer and the answer to the next question | killed or == "one" | tampers
forge(done(v="one"), done(v="forged", id=current() + 1))
time.sleep(60)

### answers to all questions to come | killed or == "one" | tampers
forge(done(v="one"), *[done(v="forged", id=current() + n) for n in range(1, 200)])
time.sleep(60)

### an answer to the next question from a thread | == "left" or killed | tampers
number = current()
def ahead():
    while True:
        time.sleep(0.0001)
        forge({**frame, "id": number + 1})
frame = done(v="forged")
threading.Thread(target=ahead, daemon=True).start()
"left"

### output after the answer | == "one" or killed | tampers
forge(done(v="one"), {"t": "out", "s": "after"})
time.sleep(60)

### output between blocks | == "left" | tampers
threading.Thread(target=lambda: [forge({"t": "out", "s": "between"}) for _ in iter(int, 1)], daemon=True).start()
"left"

### a call that is not answered for a block that is over | == "one" or killed | tampers
forge({"t": "call", "id": 900, "n": "nap", "a": [60], "k": {}}, done(v="one"))
time.sleep(60)

### the same call twice | killed or ends | tampers
forge(*[{"t": "call", "id": 900, "n": "nap", "a": [60], "k": {}}] * 2)
time.sleep(0.1)

### calls of a tool that is none | ends | tampers
names = ["nothing", "", "__class__", "os.system", "echo.function", "eval", "nap\0", "x" * 10_000, "\ud800", "close"]
forge(*[{"t": "call", "id": 900 + n, "n": name, "a": ["1"], "k": {}} for n, name in enumerate(names)])
time.sleep(0.1)

### calls of a tool that is none, without end | killed | seconds=5
while True:
    forge(*[{"t": "call", "id": 900 + n, "n": "none", "a": [], "k": {}} for n in range(50)])

### numbers that collide, for a tool that is none | killed | seconds=20
keys = [i * (2**61 - 1) for i in range(2_100)]
frame = body(json.dumps({"t": "call", "id": 900, "n": "none", "a": [{"!": "set", "v": keys}], "k": {}}).encode())
while True:
    forge(frame)

### numbers that collide, while a tool is at work | killed | seconds=20
keys = [i * (2**61 - 1) for i in range(2_100)]
frame = body(json.dumps({"t": "out", "s": "", "x": {"!": "set", "v": keys}}).encode())
forge({"t": "call", "id": 900, "n": "nap", "a": [60], "k": {}})
while True:
    forge(frame)

### cancellations without end | killed or stopped | seconds=5
while True:
    forge(*[{"t": "cancel", "id": n} for n in range(500)])

### empty output without end | killed or stopped | seconds=5
while True:
    forge(*[{"t": "out", "s": ""}] * 500)

### large values, again and again | killed or ends | seconds=20
for n in range(49):
    forge({"t": "call", "id": 900 + n, "n": "grid", "a": [], "k": {}})
time.sleep(60)

### computing while a tool is at work | TimeoutError | seconds=0.5
task = asyncio.ensure_future(nap(15))
while not task.done():
    pass

### computing in a thread while a tool is at work | TimeoutError or stopped | seconds=0.5
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
await nap(15)

### a last word of a megabyte | killed
forge({"t": "fatal", "e": "x" * 1_000_000})
time.sleep(60)

### a last word in the sandbox's voice | killed
forge({"t": "fatal", "e": "done.\n\nValue:\n42"})
time.sleep(60)

### calls with keywords that are none | ends | tampers
keys = ["", "self", "context", "__class__", "a b", "\0", "\ud800", "value ", "x" * 100_000, "tool", "call", "name", "args"]
forge(*[{"t": "call", "id": 900 + n, "n": "echo", "a": [], "k": {key: 1}} for n, key in enumerate(keys)])
time.sleep(0.1)

### calls with too many arguments | ends | tampers
forge({"t": "call", "id": 900, "n": "echo", "a": [1] * 90_000, "k": {}})
forge({"t": "call", "id": 901, "n": "echo", "a": [], "k": {str(n): n for n in range(50_000)}})
time.sleep(0.2)

### calls with deep values | ends | tampers
import functools
for number, depth in enumerate((90, 150, 400, 900, 3000)):
    deep = functools.reduce(lambda value, _: [value], range(depth), 1)
    forge(body(b'{"t":"call","id":%d,"n":"echo","a":[%s1%s],"k":{}}' % (900 + number, b"[" * depth, b"]" * depth)))
    time.sleep(0.02)

### calls with deep records | ends | tampers
for number, depth in enumerate((90, 150, 400)):
    value = b'{"!":"record","v":{"a":' * depth + b"1" + b"}}" * depth
    forge(body(b'{"t":"call","id":%d,"n":"echo","a":[%s],"k":{}}' % (900 + number, value)))
    time.sleep(0.02)

### calls with hostile values | ends | tampers
values = [{"!": "Decimal", "v": "1e999999999"}, {"!": "range", "v": ["0x0", "0xffffffffffff", "0x1"]},
          {"!": "int", "v": "0x" + "f" * 19_999}, {"!": "float", "v": "nan"}, {"!": "Path", "v": "/etc/passwd"},
          {"!": "text", "v": "x", "type": "Tool"}, {"!": "Decimal", "v": "sNaN"}, "\ud800", "\0" * 100_000]
forge(*[{"t": "call", "id": 900 + 2 * n + m, "n": tool, "a": [value], "k": {}}
        for n, value in enumerate(values) for m, tool in enumerate(("echo", "number"))])
time.sleep(0.2)

### a decimal of a huge exponent for a tool that takes numbers | ends
import decimal
for value in ("1e999999999", "-1e999999999", "1e-999999999", "1e100000", "1.5e-100000"):
    try:
        print(number(decimal.Decimal(value)))
    except Exception as error:
        print(type(error).__name__)

### a range of everything for a tool that takes lists | ends
for value in (range(2**60), range(-(2**150), 2**150), range(10**9), range(0, -(10**12), -1)):
    try:
        print(total(value))
    except Exception as error:
        print(type(error).__name__)

### ranges in lists for a tool that takes lists | ends
for value in ({"a": range(10**9)}, {str(n): range(10**6) for n in range(1000)}):
    try:
        print(rows(value))
    except Exception as error:
        print(type(error).__name__)

### calls with types that the tool does not take | ends | tampers
values = ["x", None, [], {}, 1e308, True, -1, "1e9", {"!": "bytes", "v": ""}, {"!": "set", "v": []}, "9" * 100_000]
forge(*[{"t": "call", "id": 900 + 3 * n + m, "n": tool, "a": [value], "k": {}}
        for n, value in enumerate(values) for m, tool in enumerate(("number", "nap", "rows"))])
time.sleep(0.2)

### a megabyte of rows for a tool | ends | tampers
forge({"t": "call", "id": 900, "n": "rows", "a": [{str(n): [n, n] for n in range(40_000)}], "k": {}})
forge({"t": "call", "id": 901, "n": "echo", "a": [{str(n): [n, n] for n in range(40_000)}], "k": {}})
time.sleep(0.3)

### ids of calls that are odd | ends | tampers
forge(*[{"t": "call", "id": n, "n": "tally", "a": [], "k": {}} for n in (0, -1, 2**63, 2**64, 10**400)])
time.sleep(0.1)

### a flood of calls | ends | tampers
one = body(b'{"t":"call","id":%d,"n":"echo","a":[1],"k":{}}' % 10**8) if False else None
for start in range(1000, 201_000, 1000):
    forge(b"".join(body(b'{"t":"call","id":%d,"n":"echo","a":[1],"k":{}}' % n) for n in range(start, start + 1000)))

### a flood of calls of a slow tool | ends | tampers
for start in range(1000, 101_000, 1000):
    forge(b"".join(body(b'{"t":"call","id":%d,"n":"nap","a":[9],"k":{}}' % n) for n in range(start, start + 1000)))

### a flood of calls of a tool that is none | ends | tampers
for start in range(1000, 101_000, 1000):
    forge(b"".join(body(b'{"t":"call","id":%d,"n":"x","a":[],"k":{}}' % n) for n in range(start, start + 1000)))

### a flood of calls and nobody reads | stopped or killed | tampers
signal.signal(signal.SIGINT, signal.SIG_IGN)
n = 1000
while True:
    n += 1
    forge({"t": "call", "id": n, "n": "large", "a": [], "k": {}})

### large answers and nobody reads | stopped or killed
forge(*[{"t": "call", "id": 900 + n, "n": "large", "a": [], "k": {}} for n in range(49)])
time.sleep(60)

### a flood of cancels | ends | tampers
forge(b"".join(body(b'{"t":"cancel","id":%d}' % n) for n in range(20_000)))

### cancels of calls as they start | ends | tampers
for n in range(900, 940):
    forge({"t": "call", "id": n, "n": "nap", "a": [60], "k": {}}, {"t": "cancel", "id": n}, {"t": "cancel", "id": n})
time.sleep(0.1)

### a flood of output frames | ends | tampers
for _ in range(200):
    forge(body(b'{"t":"out","s":"x"}') * 1000)

### a flood of large output frames | ends | tampers
frame = body(b'{"t":"out","s":"' + b"x" * 1_000_000 + b'"}')
for _ in range(300):
    forge(frame)

### a flood of output frames of wide characters | ends | tampers
frame = body(json.dumps({"t": "out", "s": "\U0001f600" * 80_000}).encode())
for _ in range(50):
    forge(frame)

### a flood of empty output | ends | tampers
for _ in range(200):
    forge(body(b'{"t":"out","s":""}') * 1000)

### output of surrogates and controls | == 1
forge({"t": "out", "s": "\ud800\udfff\0\x1b[2J\x07\u202e\r\n"})
1

### a flood of frames of many lists | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + b"[]," * 90_000 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of many records | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + b'{"!":"tuple","v":[]},' * 40_000 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of dates | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + b'{"!":"date","v":"2020-01-01"},' * 30_000 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of fractions | ends | tampers
one = b'{"!":"Fraction","v":["0x' + b"f" * 990 + b'","0x' + b"e" * 989 + b'1"]},'
frame = body(b'{"t":"out","s":"","x":[' + one * 500 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of decimals | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + (b'{"!":"Decimal","v":"' + b"9" * 4900 + b'"},') * 200 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of long ints | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + (b'{"!":"int","v":"0x' + b"f" * 19_000 + b'"},') * 50 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of UUIDs | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + (b'{"!":"UUID","v":"' + b"a" * 32 + b'"},') * 17_000 + b"1]}")
for _ in range(20):
    forge(frame)

### a flood of frames of paths | ends | tampers
frame = body(b'{"t":"out","s":"","x":[' + (b'{"!":"Path","v":"' + b"a/" * 200 + b'"},') * 2_300 + b"1]}")
for _ in range(20):
    forge(frame)

### one path of half a million parts | ends | tampers
forge(*[done(v={"!": "Path", "v": "a/" * 500_000})])
time.sleep(60)

### a type name that the host keeps | ends | tampers
for n in range(40):
    names = [{"!": "text", "v": "", "type": f"T{n}-{m}" + "x" * 10} for m in range(12_000)]
    forge({"t": "out", "s": "", "x": names})

### a million names | ends | tampers
forge(done(names=[f"n{i}" for i in range(80_000)]))
time.sleep(60)

### a repr of a megabyte | ends | tampers
forge(done(repr="r" * 1_000_000))
time.sleep(60)

### an error that is large everywhere | ends | tampers
forge(done(e={"type": "T" * 100_000, "bases": ["B" * 100] * 1000, "args": ["a" * 1000] * 100, "message": "m" * 100_000,
              "traceback": "t" * 300_000, "line": 10**9}))
time.sleep(60)

### an error that names a class of the host | ends | tampers
forge(done(e={"type": "KeyboardInterrupt", "bases": ["SystemExit", "BaseException"], "args": [], "message": "stop",
              "traceback": "", "line": None}))
time.sleep(60)

### an error that names no class | ends | tampers
forge(done(e={"type": "__import__", "bases": ["eval", "exec"], "args": ["1/0"], "message": "", "traceback": "",
              "line": -1}))
time.sleep(60)

### an end that no tool gave | ends | tampers
forge(done(ended=True, v="the answer"))
time.sleep(60)

### an error and an end and a value | ends | tampers
forge(done(ended=True, v="the answer", e={"type": "E", "bases": [], "args": [], "message": "", "traceback": "",
                                          "line": None}))
time.sleep(60)

### fields that nobody knows | ends | tampers
forge({**done(v=1), "lost": False, "host": {"!": "Path", "v": "/"}, "__class__": "x"})
time.sleep(60)
"""
