"""Escapes of the Python kind: the host's objects, the runtime's own modules, broken builtins, memory, neighbours."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: Damage to the interpreter that runs the block. What it answers afterwards is its own affair.
SABOTAGE = {
    "no builtins": "builtins.__dict__.clear()",
    "no namespace": "globals().clear()",
    "no modules": "sys.modules.clear()",
    "modules of None": "for name in list(sys.modules): sys.modules[name] = None",
    "no len": "builtins.len = None",
    "an isinstance that raises": "def bad(*a): raise BaseException('bad')\nbuiltins.isinstance = builtins.type = bad",
    "a print that exits": "builtins.print = os._exit\nprint(3)",
    "an import that raises": "def bad(*a, **k): raise SystemExit(9)\nbuiltins.__import__ = bad\nimport json",
    "a compile that raises": "builtins.compile = builtins.eval = builtins.exec = None",
    "an open that raises": "builtins.open = None",
    "a repr that lies": "builtins.repr = lambda value: 7\n'x'",
    "a repr of a list": "builtins.repr = lambda value: ['x'] * 10**6\n'x'",
    "json.dumps that lies": 'json.dumps = json.JSONEncoder.encode = lambda *a, **k: \'{"t":"done"}\'',
    "json.dumps that raises": "def bad(*a, **k): raise MemoryError\njson.dumps = bad",
    "json.loads that lies": "json.loads = json.JSONDecoder.decode = lambda *a, **k: {'t': 'exec', 'id': 1}",
    "struct that lies": "struct.pack = lambda *a: b'\\xff' * 8",
    "int.to_bytes out of reach": "sys.modules['tinyagent.sandbox.frames']._HEADER = 9",
    "a socket that lies": "socket.socket.sendall = socket.socket.send = lambda *a: None",
    "a socket that doubles": "real = socket.socket.sendall\nsocket.socket.sendall = lambda s, d: (real(s, d), real(s, d))",
    "a socket that reads nothing": "socket.socket.recv = lambda *a: b''",
    "a socket that reads noise": "socket.socket.recv = lambda *a: os.urandom(99)",
    "a select that lies": "select.select = lambda *a: ([], [], [])",
    "a select that raises": "select.select = None",
    "os.write replaced": "os.write = lambda *a: 0",
    "time that stands still": "time.monotonic = time.time = lambda: 0",
    "time that is text": "time.monotonic = lambda: 'late'",
    "locks that are none": "threading.Lock = threading.RLock = threading.Condition = None",
    "a thread of another name": "threading.main_thread = threading.get_ident = lambda: None",
    "signals that do nothing": "signal.signal = signal.raise_signal = lambda *a: None",
    "ast that raises": "__import__('ast').parse = None",
    "a transformer that raises": "__import__('ast').NodeTransformer.generic_visit = None",
    "tracebacks that raise": "import traceback\ntraceback.TracebackException.__init__ = None\n1 / 0",
    "tracebacks that lie": "import traceback\ntraceback.TracebackException.format = lambda *a, **k: [1, 2]\n1 / 0",
    "tracebacks that never end": "import traceback\ntraceback.TracebackException.format = lambda *a, **k: iter(lambda: 'x' * 10**6, 0)\n1 / 0",
    "lines that raise": "__import__('linecache').getline = None\n1 / 0",
    "a cache of lines of nonsense": "__import__('linecache').cache = {'<block 1>': 1, '<block 2>': (1, 2), '<block 3>': 'abcd'}\n1 / 0",
    "an excepthook": "sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *a: os._exit(1)\n1 / 0",
    "a displayhook": "sys.displayhook = None\n1",
    "stdout of None": "sys.stdout = sys.stderr = None\nprint('x')",
    "stdout closed": "sys.stdout.close()\nprint('x')",
    "stdout detached": "sys.stdout.detach()",
    "stdout that loops": "class O:\n    def write(self, text): print(text)\n    def flush(self): pass\nsys.stdout = O()\nprint('x')",
    "stdout reconfigured": "sys.stdout.reconfigure(encoding='utf-16')\nprint('x')",
    "stdout in ASCII": "sys.stdout.reconfigure(encoding='ascii', errors='strict')\nprint('\\u20ac')",
    "the event loop closed": "asyncio.get_event_loop().close()",
    "every event loop closed": "[loop.close() for loop in gc.get_objects() if isinstance(loop, asyncio.AbstractEventLoop)]",
    "an event loop's policy": "class P(asyncio.DefaultEventLoopPolicy):\n    def new_event_loop(self): return None\nasyncio.set_event_loop_policy(P())",
    "asyncio.run replaced": "asyncio.run = None\nasyncio.Task = asyncio.Future = None",
    "a limit of recursion of 50": "sys.setrecursionlimit(60)",
    "a limit of recursion below the stack": "sys.setrecursionlimit(30)",
    "a switch interval of hours": "sys.setswitchinterval(1e9)",
    "an audit hook that raises": "def hook(event, args): raise RuntimeError(event)\nsys.addaudithook(hook)",
    "an audit hook that exits": "sys.addaudithook(lambda event, args: os._exit(5))\nopen",
    "a trace that raises": "def t(*a): raise RuntimeError('t')\nsys.settrace(t)",
    "a profile that raises": "def t(*a): raise RuntimeError('t')\nsys.setprofile(t)",
    "collections at every step": "gc.set_threshold(1)\ngc.set_debug(gc.DEBUG_LEAK)",
    "a codec that raises": "import codecs\ncodecs.lookup = codecs.getincrementaldecoder = None",
    "a codec of the same name": "import codecs\ncodecs.register(lambda name: (_ for _ in ()).throw(SystemExit(1)))\n'x'.encode('nothing-like-it')",
    "a class that is everything": "type.__call__\nclass M(type):\n    __instancecheck__ = __subclasscheck__ = lambda *a: True\nbuiltins.BaseException = M('X', (), {})",
    "Exception replaced": "builtins.Exception = builtins.BaseException = builtins.OSError = KeyboardInterrupt = None\n1 / 0",
    "the number one is two": "ctypes.memmove(id(1) + 24, id(2) + 24, 4)",
    "the empty tuple has a part": "ctypes.memset(id(()) + 16, 1, 1)",
    "an interned string is another": "ctypes.memset(id('done') + 48, 120, 4)",
    "None is mutable": "ctypes.memmove(id(None) + 8, id(True) + 8, 8)",
    "a class of the runtime is another": "m = sys.modules['tinyagent.sandbox.child.channel']\nm.Channel.send = lambda self, frame: None",
    "the runtime answers twice": "m = sys.modules['tinyagent.sandbox.child.channel']\nreal = m.Channel.send\nm.Channel.send = lambda self, frame: (real(self, frame), real(self, frame))",
    "the runtime answers with more": "m = sys.modules['tinyagent.sandbox.child.channel']\nreal = m.Channel.send\nm.Channel.send = lambda self, frame: real(self, {**frame, 'v': 'x' * 10**6, 'e': [], 'names': 7})",
    "the runtime sends without limits": "m = sys.modules['tinyagent.core.codec']\nm.MAX_BYTES = m.MAX_CONTAINERS = 10**12\nm.to_json.__globals__['MAX_BYTES'] = 10**12\nm.packing.MAX_BYTES = 10**12\n'x' * 3_000_000",
    "the runtime packs nothing": "m = sys.modules['tinyagent.sandbox.child.session']\nm.pack = lambda value, **k: {'!': 'nothing'}\n1",
    "the runtime reports nonsense": "m = sys.modules['tinyagent.sandbox.child.session']\nm.report = lambda error: {'type': 1}\n1 / 0",
    "the runtime numbers calls anew": "m = sys.modules['tinyagent.sandbox.child.channel']\nm.Channel.new_call = lambda self, hearer=None: 1\nawait asyncio.gather(echo(1), echo(2))",
    "the runtime lets nobody in": "m = sys.modules['tinyagent.sandbox.child.interrupts']\nm.interrupts.running = False\nm.Interrupts.checkpoint = None\nwhile True: pass",
    "the lock runs again": "m = sys.modules['tinyagent.locked.lock']\nm.lock(memory=1 << 40, cpu_seconds=None, threads=9999, uid=None, parent=os.getppid(), keep={3})",
    "the zygote's loop runs here": "m = sys.modules['tinyagent.sandbox.child.zygote']\nm._Zygote(socket.socket(fileno=3), HOST_PID).serve()",
    "the session runs inside itself": "m = sys.modules['tinyagent.sandbox.child.session']\nm.Session(socket.socket(fileno=os.dup(3))).serve({})",
}

OTHERS = r"""
### host objects among all objects | == []
kinds = {type(value).__module__ + "." + type(value).__name__ for value in gc.get_objects()}
sorted(k for k in kinds if "process.Process" in k or k.startswith(("tinyagent.agents", "tinyagent.models", "pytest", "_pytest")))

### functions of the host behind a tool | == "none"
def reach(value, depth=0, seen=set()):
    if id(value) in seen or depth > 6:
        return
    seen.add(id(value))
    for other in gc.get_referents(value):
        if getattr(other, "__name__", "") in ("record_echo", "World", "ProcessSandbox"):
            breach(other)
        reach(other, depth + 1)
reach(echo)
"none"

### attributes of a tool | AttributeError
[getattr(echo, name) for name in ("__globals__", "__closure__", "function", "__wrapped__", "run")]

### a tool of another name | ends
for name in ("hidden", "__class__", "os.system", "nap\0", "", None, 7, [], "close"):
    try:
        echo.__name__ = name
        print(echo(1))
    except BaseException as error:
        print(type(error).__name__)

### a tool that is called as a method of the host | ends | tampers
for tool in gc.get_objects():
    if type(tool).__name__ == "RemoteTool":
        for name in ("__class__", "__init__", "__call__", "__subclasses__", "run", "function"):
            try:
                print(tool._tools.call(name, (), {}))
            except BaseException as error:
                print(type(error).__name__)

### what a failing tool tells | ends
try:
    fail()
except Exception as error:
    seen = [error, error.__cause__, error.__context__, error.__traceback__]
    print(seen, vars(error), error.args, getattr(error, "__notes__", None))
    frame = error.__traceback__
    while frame:
        print(frame.tb_frame.f_code.co_filename, list(frame.tb_frame.f_locals))
        frame = frame.tb_next

### frames below the block | ends
frame = sys._getframe()
while frame:
    print(frame.f_code.co_filename, frame.f_code.co_name, {k: repr(v)[:500] for k, v in frame.f_locals.items()})
    frame = frame.f_back

### frames of all threads | ends
for frame in sys._current_frames().values():
    while frame:
        print(frame.f_code.co_filename, repr(frame.f_locals)[:1000])
        frame = frame.f_back

### locals of the frames below changed | ends | tampers
frame = sys._getframe()
while frame:
    for name, value in list(frame.f_locals.items()):
        if isinstance(value, dict) and "t" in value:
            value.update(id=99, last="x", file=7, line="z", code=None)
    frame = frame.f_back

### subclasses of object | refused
found = {c.__name__: c for c in object.__subclasses__() if isinstance(getattr(c, "__init__", None), type(lambda: 0))}
refused(lambda: [c.__init__.__globals__["sys"].modules["os"].fork() or os._exit(0)
                 for c in found.values() if "sys" in c.__init__.__globals__][0])

### a pickle | ends
import pickle
class P:
    def __reduce__(self):
        return os.system, (f"touch {PLACE}/new",)
pickle.loads(pickle.dumps(P()))
P()

### a pickle as a value for the host | ends
import pickle
class P:
    def __reduce__(self):
        return os.system, (f"touch {PLACE}/new",)
[P(), pickle.dumps(P())]

### a marshalled code object | killed or ends
import marshal
marshal.loads(b"\xe3" + b"\0" * 16 + os.urandom(400))

### memory of the process: text of the neighbour and the host | ends
pattern = re.compile("|".join(("neighbour", "environment", "file", "tool", "shared")).encode().join((b"(?:", b")-secret-[0-9a-f]{16,}")))
starts = sorted({id(value) & ~0xFFFF for value in gc.get_objects()})
seen, looked = set(), 0
for start in starts:
    for page in range(start, start + 0x10000, 4096):
        looked += 1
        seen.update(pattern.findall(readable(page, 4096)))
print(looked > 100, seen)

### memory of the process: its heap | ends
pattern = re.compile(rb"(?:neighbour|environment|file|tool|shared)-secret-[0-9a-f]{16,}")
libc.sbrk.restype = ctypes.c_long
top, seen = libc.sbrk(ctypes.c_long(0)), set()
for page in range(top - (48 << 20), top, 32768):
    seen.update(pattern.findall(readable(page, 32768)))
print(seen)

### memory that was freed | ends
pattern = re.compile(rb"(?:neighbour|environment|file|tool|shared)-secret-[0-9a-f]{16,}")
libc.malloc.restype = ctypes.c_void_p
seen = set()
for size in [2**n for n in range(5, 22)] * 40:
    at = libc.malloc(ctypes.c_size_t(size))
    seen.update(pattern.findall(ctypes.string_at(at, size)))
print(seen)

### text among all objects | ends
pattern = re.compile(r"(?:neighbour|environment|file|tool|shared)-secret-[0-9a-f]{16,}")
def walk(values, depth):
    for value in values:
        if isinstance(value, str) and pattern.search(value):
            print(value)
        elif isinstance(value, bytes) and pattern.search(value.decode("latin-1")):
            print(value)
for value in gc.get_objects():
    walk(gc.get_referents(value), 1)

### names of the neighbour | ends
for module in list(sys.modules.values()):
    for name in ("secret", "NEIGHBOUR", "kept"):
        if hasattr(module, name):
            print(module, getattr(module, name))

### memory that sessions share | == "private"
shared = [value for value in gc.get_objects() if isinstance(value, mmap.mmap)]
for one in shared:
    one[:8] = b"FORGED--"
"private"

### a change that the next session would see | == "changed"
sys.modules["json"].HOSTILE = builtins.HOSTILE = "from another session"
ctypes.memset(id("hostile-marker-of-a-string") + 48, 65, 4)
"changed"

### what another session changed | == [False, False]
[hasattr(builtins, "HOSTILE"), hasattr(json, "HOSTILE")]

### random numbers of a session | ends
import random, uuid, secrets
print(random.getrandbits(64), uuid.uuid4(), secrets.token_hex())

### the limits of this block from inside | ends
import resource
for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_DATA", "RLIMIT_STACK"):
    try:
        resource.setrlimit(getattr(resource, name), (-1, -1))
        breach(name)
    except (OSError, ValueError):
        pass

### the prefix of the sandbox's files | ends
exec(compile("while True: pass", sys.modules["tinyagent.sandbox.child.session"].__file__, "exec"))

### a block named as the runtime | ends
import types
code = compile("def spin():\n    while True:\n        pass\nspin()", sys.modules["tinyagent.sandbox.child.channel"].__file__, "exec")
exec(code.replace(co_name="run_until_done"))

### a source that is no text | ends
exec(compile(b"# coding: rot13\nprint('x')", "x", "exec"))

### a generator that refuses to end | ends
def g():
    while True:
        try:
            yield
        except GeneratorExit:
            pass
it = g()
next(it)
del it

### an async generator that refuses to end | ends
async def g():
    while True:
        try:
            yield
        except BaseException:
            pass
it = g()
await it.__anext__()
del it

### a loop's exception handler that exits | ends
asyncio.get_running_loop().set_exception_handler(lambda *a: os._exit(4))
async def bad():
    raise ValueError
asyncio.ensure_future(bad())
await asyncio.sleep(0.01)
gc.collect()

### a task that cancels the block | CancelledError or stopped
for task in asyncio.all_tasks():
    task.cancel()
await asyncio.sleep(1)

### the loop stopped from inside | RuntimeError or stopped or killed
asyncio.get_running_loop().stop()
await asyncio.sleep(60)

### a signal handler that is none of Python's | killed or ends | tampers
libc.signal(2, ctypes.c_void_p(ctypes.cast(libc.abort, ctypes.c_void_p).value))
while True:
    pass

### Python's signal handling poked | ends | tampers
ctypes.pythonapi.PyErr_SetInterruptEx(15)
ctypes.pythonapi.PyErr_SetInterrupt()
time.sleep(0.01)

### an exception in another thread | ends | tampers
ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.main_thread().ident), ctypes.py_object(SystemExit))
for _ in range(1000):
    pass
"""


def table(entries: dict[str, str]) -> str:
    """Attempts of a few lines each."""
    return "".join(f"\n### sabotage: {name} | ends | tampers\n{code}\n" for name, code in entries.items())


ATTEMPTS = table(SABOTAGE) + OTHERS
