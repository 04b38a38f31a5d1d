"""Attempts to use everything up, to never end, and to crash."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: Code that does not end by itself; each is stopped by its time limit, softly or for good.
ENDLESS = {
    "a loop": "while True: pass",
    "a loop that catches Exception": "while True:\n    try: 1 / 0\n    except Exception: pass",
    "a loop that swallows KeyboardInterrupt": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "a loop whose finally loops": "try:\n    while True: pass\nfinally:\n    while True: pass",
    "a loop in a destructor": "class D:\n    def __del__(self):\n        while True: pass\nd = D()\ndel d",
    "a loop in a comparison": "class C:\n    def __lt__(self, other):\n        while True: pass\nsorted([C(), C()])",
    "a loop in a generator": "list(iter(lambda: 1, 0)[0:1]) if False else all(True for _ in iter(int, 1))",
    "a loop in a thread that is joined": "t = threading.Thread(target=lambda: [0 for _ in iter(int, 1) if 0])\nt.start()\nt.join()",
    "a loop in C": "sum(range(10**12))",
    "a loop in C that ignores signals": "signal.signal(signal.SIGINT, signal.SIG_IGN)\nsum(range(10**12))",
    "SIGINT ignored": "signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "SIGINT handled by doing nothing": "signal.signal(signal.SIGINT, lambda *_: None)\nwhile True: pass",
    "SIGINT handled by raising something else": "def h(*_): raise ValueError\nsignal.signal(signal.SIGINT, h)\nwhile True:\n    try: time.sleep(9)\n    except ValueError: pass",
    "SIGINT blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, {2})\nwhile True: pass",
    "every signal blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
    "SIGINT blocked behind Python's back": "libc.sigprocmask(0, b'\\xff' * 128, None)\nwhile True: pass",
    "a long sleep": "time.sleep(10**6)",
    "a sleep that starts again": "while True:\n    try: time.sleep(10**6)\n    except BaseException: pass",
    "a sleep in libc": "while True: libc.pause()",
    "an await for ever": "await asyncio.Event().wait()",
    "an await that swallows its cancellation": "while True:\n    try: await asyncio.sleep(9)\n    except asyncio.CancelledError: pass",
    "an await that never yields": "async def spin():\n    while True: pass\nawait asyncio.gather(spin(), spin())",
    "a task that starts tasks": "async def more():\n    while True: await asyncio.gather(*[asyncio.sleep(0) for _ in range(100)])\nawait more()",
    "a loop of its own that runs for ever": "asyncio.new_event_loop().run_forever()",
    "callbacks without end": "loop = asyncio.new_event_loop()\ndef again(): loop.call_soon(again)\nagain()\nloop.run_forever()",
    "a deadlock": "lock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "a deadlock in libc": "while True: libc.poll(None, ctypes.c_ulong(0), -1)",
    "a join of itself by another": "main = threading.main_thread()\nt = threading.Thread(target=main.join)\nt.start()\nt.join()",
    "a queue that stays empty": "__import__('queue').Queue().get()",
    "a read of a pipe": "os.read(os.pipe()[0], 1)",
    "a write into a full pipe": "w = os.pipe()[1]\nwhile True: os.write(w, bytes(4096))",
    "a read of the session's socket": "while True: os.read(3, 1)",
    "a select of nothing": "select.select([], [], [])",
    "a regular expression": "re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "regular expressions in a loop": "while True: re.search(r'(x+x+)+y', 'x' * 22)",
    "a power": "10 ** 10 ** 9 and None",
    "a factorial": "__import__('math').factorial(10**8) and None",
    "a long division": "x = 7 ** (10**7)\nwhile True: x // 3 ** (10**6)",
    "digits of a number": "sys.set_int_max_str_digits(0)\nwhile True: len(str(7 ** (10**6)))",
    "a decimal power": "import decimal\ndecimal.getcontext().prec = 10**7\ndecimal.Decimal(2) ** decimal.Decimal('0.5')\nwhile True: pass",
    "fractions": "from fractions import Fraction\nx = Fraction(1)\nwhile True: x += 1 / (x + Fraction(1, 3))",
    "a key derivation": "__import__('hashlib').pbkdf2_hmac('sha512', b'a', b'b', 10**9)",
    "colliding hashes": "{i * (2**61 - 1) for i in range(1, 10**6)}",
    "a quadratic string": "s = 'a' * 10**6\nwhile True: ('b' + s).find(s + 'c')",
    "itertools without end": "import itertools, collections\ncollections.deque(itertools.cycle([1]), maxlen=0)",
    "product without end": "import itertools\nsum(1 for _ in itertools.product(range(99), repeat=9))",
    "a compilation": "while True: compile('x = [' + '1,' * 10**5 + ']', 'x', 'exec')",
    "a trace function": "def t(*a):\n    while True: pass\nsys.settrace(t)\n(lambda: 0)()",
    "a profile function": "def p(*a):\n    while True: pass\nsys.setprofile(p)\nlen('')",
    "a garbage collection that collects": "class G:\n    def __del__(self): gc.collect()\nwhile True:\n    g = G()\n    g.me = g\n    del g",
    "a callback of the collector": "def cb(*a):\n    while True: pass\ngc.callbacks.append(cb)\ngc.collect()",
    "a timer that never lets go": "signal.signal(signal.SIGALRM, lambda *_: None)\nsignal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)\nwhile True: pass",
    "a timer with a raising handler": "def h(*_): raise OSError\nsignal.signal(signal.SIGALRM, h)\nsignal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)\nwhile True:\n    try:\n        while True: pass\n    except OSError: pass",
    "a process that stops itself": "signal.raise_signal(signal.SIGSTOP)",
    "a process that stops itself again and again": "while True: signal.raise_signal(signal.SIGSTOP)",
    "a process that stops itself in a thread": "threading.Thread(target=lambda: signal.pthread_kill(threading.main_thread().ident, 19)).start()\ntime.sleep(99)",
    "output without end": "while True: print('flood')",
    "long lines without end": "while True: print('x' * 100_000)",
    "output without a newline": "while True: sys.stdout.write('x')",
    "errors without end": "import traceback\nwhile True:\n    try: 1 / 0\n    except Exception: traceback.print_exc()",
    "output in every thread": "def flood():\n    while True: print('x' * 999)\nfor _ in range(4): threading.Thread(target=flood, daemon=True).start()\nflood()",
    "a tool that is slow, and a loop": "t = threading.Thread(target=nap, args=(0.3,), daemon=True)\nt.start()\nwhile True: pass",
    "slow tools one after the other, and a loop": "def naps():\n    while True: nap(0.05)\nt = threading.Thread(target=naps, daemon=True)\nt.start()\nwhile True: pass",
    "tools called for ever, errors swallowed": "while True:\n    try: echo(1)\n    except BaseException: pass",
    "short naps for ever": "while True:\n    try: nap(0.05)\n    except Exception: pass",
    "a warning without end": "import warnings\nwarnings.simplefilter('always')\nwhile True: warnings.warn('x' * 999)",
    "input without end": "while True:\n    try: input()\n    except EOFError: pass",
    "an import that imports itself": "class F:\n    def find_spec(self, *a):\n        while True: pass\nsys.meta_path.insert(0, F())\nimport nothing_like_it",
    "a hash that never ends": "class H:\n    def __hash__(self):\n        while True: pass\n{H()}",
}

#: Code that asks for too much memory: 256 MB are allowed.
TOO_LARGE = {
    "a list": "x = []\nwhile True: x.append(x[:] + [0] * 100_000)",
    "a list of one allocation": "[0] * 10**10",
    "a bytearray": "bytearray(10**10)",
    "bytes": "b'x' * 10**11",
    "a string": "'x' * 10**10",
    "a string that doubles": "s = 'x'\nwhile True: s += s",
    "a list that doubles": "x = [1]\nwhile True: x += x",
    "a dict": "d = {}\nfor i in iter(int, 1): d[len(d)] = bytes(1000)",
    "a set": "set(range(10**9))",
    "a tuple": "tuple(range(10**9))",
    "a format": "'%*d' % (10**9, 1)",
    "a format of a float": "f'{1.0:.{10**9}f}'",
    "a join": "','.join(['x' * 10**6] * 10**5)",
    "a replacement": "('a' * 10**5).replace('a', 'b' * 10**5)",
    "a whole number": "1 << (10**11)",
    "an anonymous map": "x = [mmap.mmap(-1, 1 << 26) for _ in range(100)]",
    "ctypes": "x = (ctypes.c_char * 10**10)()",
    "an array": "__import__('array').array('d', bytes(8)) * 10**10",
    "io.BytesIO": "f = io.BytesIO()\nwhile True: f.write(bytes(1 << 24))",
    "a file in memory": "f = open('/tmp/large', 'wb')\nwhile True: f.write(bytes(1 << 24))",
    "many files in memory": "for i in range(10**6): open(f'/tmp/{i}', 'wb').write(bytes(1 << 16))",
    "a decompression": "import zlib\nc = zlib.compressobj(wbits=-15)\nblock = c.compress(bytes(1 << 20)) + c.flush(zlib.Z_FULL_FLUSH)\nzlib.decompress(block * 4000, wbits=-15)",
    "bz2": "import bz2\nbz2.decompress(bz2.compress(bytes(1 << 22)) * 400)",
    "a zip": "import zipfile, zlib\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w', zipfile.ZIP_DEFLATED) as z:\n    for i in range(99): z.writestr(str(i), bytes(1 << 22))\nz = zipfile.ZipFile(b)\nx = [z.read(n) for n in z.namelist()]",
    "a regular expression of many repeats": "re.compile('(?:' * 50 + 'a' + '{1,9999})' * 50)\n[0] * 10**10",
    "an expression compiled": "compile('x=' + '(1,' * 90 + ')' * 90, '', 'exec') and eval('[0]*' + '9' * 10)",
    "a json text": "json.dumps(['x' * 10**6] * 1000)",
    "itertools.product": "import itertools\nlist(itertools.product(range(99), repeat=9))",
    "pickled": "import pickle\npickle.dumps([bytes(10**6 + i) for i in range(1000)])",
    "deep copies": "import copy\nx = [0]\nwhile True: x = [x, copy.deepcopy(x), [0] * 10**6]",
    "a database": "import sqlite3\nd = sqlite3.connect(':memory:')\nd.execute('create table t (a)')\nwhile True: d.execute('insert into t values (zeroblob(100000000))')",
    "a recursion that keeps": "sys.setrecursionlimit(10**6)\ndef f(x): return f([x, bytes(10**6)])\nf(0)",
    "an XML bomb": "import xml.etree.ElementTree as tree\nlevels = ''.join(f'<!ENTITY l{i} \"' + f'&l{i-1};' * 10 + '\">' for i in range(1, 10))\ntree.fromstring(f'<!DOCTYPE x [<!ENTITY l0 \"ha\">{levels}]><x>&l9;</x>')",
    "output that nobody sends": "class W(io.StringIO): pass\nsys.stdout = W()\nwhile True: print('x' * 10**6)",
}

#: Code that ends the process it runs in.
CRASHING = {
    "a segmentation fault": "ctypes.string_at(0)",
    "a wild write": "ctypes.memset(8, 1, 1000)",
    "a write over an object": "ctypes.memset(id(dict), 0, 400)\n{}.x",
    "a wild jump": "ctypes.CFUNCTYPE(None)(1)()",
    "abort": "os.abort()",
    "_exit": "os._exit(0)",
    "_exit with a code": "os._exit(77)",
    "libc.exit": "libc.exit(0)",
    "libc._exit in a thread": "t = threading.Thread(target=lambda: libc._exit(3))\nt.start()\nt.join()\ntime.sleep(99)",
    "Py_Exit": "ctypes.pythonapi.Py_Exit(0)",
    "Py_FatalError": "ctypes.pythonapi.Py_FatalError(b'the end')",
    "Py_Finalize": "ctypes.pythonapi.Py_FinalizeEx()",
    "faulthandler": "__import__('faulthandler')._sigsegv()",
    "faulthandler's fatal error": "__import__('faulthandler')._fatal_error_c_thread()\ntime.sleep(99)",
    "faulthandler's stack overflow": "__import__('faulthandler')._stack_overflow()",
    "faulthandler's timer": "__import__('faulthandler').dump_traceback_later(0.05, exit=True, file=1)\ntime.sleep(99)",
    "a signal to itself": "signal.raise_signal(signal.SIGKILL)",
    "SIGTERM to itself": "signal.raise_signal(signal.SIGTERM)",
    "SIGSEGV to itself": "signal.signal(signal.SIGSEGV, signal.SIG_DFL)\nsignal.raise_signal(signal.SIGSEGV)",
    "SIGXCPU to itself": "signal.signal(signal.SIGXCPU, signal.SIG_DFL)\nsignal.raise_signal(signal.SIGXCPU)",
    "an alarm": "signal.setitimer(signal.ITIMER_REAL, 0.02)\ntime.sleep(99)",
    "a profiling timer": "signal.setitimer(signal.ITIMER_PROF, 0.02)\nwhile True: pass",
    "a code object without constants": "def f(): return 'abc' + str(1)\nf.__code__ = f.__code__.replace(co_consts=(), co_names=())\nf()",
    "a released thread lock": "ctypes.pythonapi.PyEval_SaveThread.restype = ctypes.c_void_p\nctypes.pythonapi.PyEval_ReleaseThread(0)",
    "the session's socket closed": "os.close(3)",
    "the session's socket shut down": "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, proto=0, fileno=os.dup(3)).shutdown(2)",
    "the session's socket replaced": "a, b = socket.socketpair()\nos.dup2(a.fileno(), 3)",
    "every descriptor closed": "os.closerange(0, 256)",
    "the session's socket object closed": "[s.close() for s in gc.get_objects() if isinstance(s, socket.socket)]\nos.close(3)",
}


def table(entries: dict[str, str], expect: str) -> str:
    """Attempts of a few lines each."""
    return "".join(f"\n### {name} | {expect}\n{code}\n" for name, code in entries.items())


ATTEMPTS = (
    table(
        {f"endless: {name}": code for name, code in ENDLESS.items()},
        "stopped or killed or MemoryError or OverflowError",
    )
    + table(
        {f"too large: {name}": code for name, code in TOO_LARGE.items()},
        "MemoryError or OverflowError or ValueError or ParseError or OperationalError or SyntaxError or OSError "
        "or stopped or killed",
    )
    + table({f"crash: {name}": code for name, code in CRASHING.items()}, "killed")
)
