"""Programs that use files: what `open` gives: text, bytes, buffers, modes and errors."""

PROGRAMS = r"""
# %% write and read text
with open("a.txt", "w") as f:
    show(f.write("first\n"), f.write("second\n"), f.tell())
with open("a.txt") as f:
    show(f.read(), f.read(), f.name, f.mode, f.closed, f.encoding)
show(f.closed)

# %% the default encoding is UTF-8
open("a.txt", "w").write("žluť ☃ 🐍")
show(open("a.txt", "rb").read(), open("a.txt").read(), os.path.getsize("a.txt"))

# %% other encodings
for encoding in ("utf-8", "utf-16", "latin-1", "utf-8-sig", "cp1252"):
    with open("a.txt", "w", encoding=encoding) as f:
        f.write("é\n")
    show(encoding, open("a.txt", "rb").read(), open("a.txt", encoding=encoding).read())

# %% encoding errors
tried(lambda: open("a.txt", "w", encoding="ascii").write("é"))
open("b.bin", "wb").write(b"\xff\xfe abc")
tried(lambda: open("b.bin").read())
show(open("b.bin", errors="replace").read(), open("b.bin", errors="surrogateescape").read())
tried(lambda: open("a.txt", encoding="nope"))

# %% modes
open("a", "w").close()
for mode in ("r", "w", "a", "r+", "w+", "a+", "rb", "wb", "ab", "rb+", "wb+", "ab+", "r+b", "rt", "wt"):
    with open("a", mode) as f:
        show(mode, f.mode, f.readable(), f.writable(), f.seekable(), f.isatty(), type(f).__name__)
        raw = f.buffer.raw if "b" not in mode else f.raw
        show(raw.mode, raw.name, raw.closefd, raw.readable(), raw.writable(), raw)
for mode in ("x", "xb", "x+", "xb+"):
    os.remove("a")
    with open("a", mode) as f:
        show(f.mode, f)

# %% wrong modes
for mode in ("", "z", "rw", "rr", "tb", "b", "+", "r++", "wa", "U", "rbt", "xw", 3, None):
    try:
        open("a", mode)
    except (TypeError, ValueError) as error:
        show(mode, type(error))
tried(lambda: open("a", "rb", encoding="utf-8"))
tried(lambda: open("a", "rb", errors="strict"))
tried(lambda: open("a", "rb", newline=""))
tried(lambda: open("a", "w", 0))
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    tried(lambda: open("a", "w", newline="x"))
    gc.collect()
show(len(seen))
tree()

# %% arguments that are no path
for file in (None, 1.5, [], {}, object, b"\0", "a\0b"):
    tried(lambda: open(file))
tried(lambda: open(-1))
tried(lambda: open(12345))
tried(lambda: open("a", closefd=False))
tried(lambda: open("\ud800"))

# %% a missing file
tried(lambda: open("missing"))
tried(lambda: open("missing", "r+"))
tried(lambda: open("missing/a", "w"))
tried(lambda: open(""))
tried(lambda: open(b"missing"))
tried(lambda: open(pathlib.Path("missing")))
try:
    open("missing")
except OSError as error:
    show(error.errno, error.strerror, error.filename, error.filename2, error.args, repr(error))

# %% a directory is no file
os.mkdir("d")
for mode in ("r", "w", "a", "x", "rb", "r+"):
    tried(lambda: open("d", mode))
    tried(lambda: open("d/", mode))

# %% a file is no directory
open("f", "w").close()
for path in ("f/", "f/x", "f/x/y", "f/.", "f/.."):
    for mode in ("r", "w", "x"):
        tried(lambda: open(path, mode))
tried(lambda: open("new/", "w"))
tree()

# %% exclusive creation
with open("x", "x") as f:
    f.write("1")
tried(lambda: open("x", "x"))
show(open("x").read())

# %% append
for text in ("a", "b"):
    with open("log", "a") as f:
        show(f.tell())
        f.write(text)
        show(f.tell())
with open("log", "a+") as f:
    show(f.tell(), f.read())
    f.seek(0)
    show(f.read())
    f.seek(0)
    f.write("c")
show(open("log").read())

# %% read and write in one
open("a", "w").write("0123456789")
with open("a", "r+") as f:
    show(f.read(3))
    f.seek(3)
    f.write("XY")
    f.flush()
    show(f.tell())
    f.seek(0)
    show(f.read())
with open("a", "rb+") as f:
    show(f.read(2), f.write(b"--"), f.read(2), f.tell())
show(open("a").read())

# %% w+ empties the file
open("a", "w").write("old")
with open("a", "w+") as f:
    show(f.read(), f.write("new"), f.seek(0), f.read())

# %% lines
open("a", "w").writelines(["one\n", "two\n", "\n", "end"])
with open("a") as f:
    show(f.readline(), f.readlines(), f.readline())
with open("a") as f:
    show([line for line in f])
with open("a") as f:
    show(next(f), f.readline(2), list(f))
with open("a", "rb") as f:
    show(f.readlines(5), f.readline(1), f.read())
show(sum(1 for _ in open("a")), max(open("a"), key=len))

# %% tell while iterating
open("a", "w").write("one\ntwo\n")
with open("a") as f:
    for line in f:
        tried(f.tell)
    show(f.tell())

# %% newlines on reading
open("a", "wb").write(b"a\r\nb\rc\nd")
for newline in (None, "", "\n", "\r", "\r\n"):
    with open("a", newline=newline) as f:
        show(newline, f.readlines(), f.newlines)

# %% newlines on writing
for newline in (None, "", "\n", "\r", "\r\n"):
    with open("a", "w", newline=newline) as f:
        f.write("x\ny\r\n")
    show(newline, open("a", "rb").read())

# %% binary
with open("a", "wb") as f:
    show(f.write(b"abc"), f.write(bytearray(b"de")), f.write(memoryview(b"fg")), f.tell())
    tried(lambda: f.write("text"))
with open("a", "rb") as f:
    buffer = bytearray(4)
    show(f.readinto(buffer), buffer, f.peek(2)[:2], f.read1(1), f.readinto1(buffer), buffer, f.read())
import array
with open("a", "wb") as f:
    f.write(array.array("i", [1, 2, 3]))
    array.array("h", [7]).tofile(f)
show(open("a", "rb").read())
numbers = array.array("i")
with open("a", "rb") as f:
    numbers.fromfile(f, 2)
    tried(lambda: numbers.fromfile(f, 9))
show(numbers)

# %% unbuffered
with open("a", "wb", 0) as f:
    show(f.write(b"abc"), f.tell(), os.path.getsize("a"), f)
    tried(f.read)
    tried(lambda: f.readinto(bytearray(3)))
    tried(lambda: f.write("x"))
with open("a", "rb", buffering=0) as f:
    show(f.read(1), f.readall(), f.read(), f.read(5), f.seek(1), f.read(None))
    tried(lambda: f.write(b"x"))
    tried(lambda: f.truncate(1))
with open("a", "rb+", 0) as f:
    show(f.seek(2), f.write(b"ZZ"), f.seek(0), f.readline(), f.readlines())

# %% buffering
with open("a", "w", 1) as f:
    f.write("line\nrest")
    show(open("a").read(), f.line_buffering)
with open("a", "wb", 4) as f:
    f.write(b"12")
    show(os.path.getsize("a"))
    f.write(b"345678")
    f.flush()
    show(os.path.getsize("a"))
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    open("a", "wb", 1).close()
show([str(w.message) for w in seen])

# %% other handles see what is flushed
f = open("a", "w")
g = open("a")
f.write("one")
show(g.read())
f.flush()
show(g.read())
f.write("two")
f.close()
show(g.read())
g.close()

# %% seek in text
open("a", "w").write("héllo\nworld\n")
with open("a") as f:
    f.readline()
    at = f.tell()
    show(at, f.readline(), f.seek(at), f.read(3))
    tried(lambda: f.seek(1, 1))
    tried(lambda: f.seek(-1, 2))
    tried(lambda: f.seek(-1))
    tried(lambda: f.seek(0, 7))
    show(f.seek(0, 2), f.seek(0, 1), f.seek(0))

# %% seek in binary
open("a", "wb").write(b"0123456789")
with open("a", "rb") as f:
    show(f.seek(-3, 2), f.read(), f.seek(2), f.seek(2, 1), f.read(2), f.seek(100), f.read(), f.tell())
    tried(lambda: f.seek(-1))
    tried(lambda: f.seek(-200, 1))
    tried(lambda: f.seek(1.5))
    tried(lambda: f.seek(2**70))
    tried(lambda: f.seek("x"))

# %% holes
with open("a", "wb") as f:
    f.seek(5)
    f.write(b"x")
show(open("a", "rb").read())
with open("a", "ab") as f:
    show(f.tell(), f.seek(1), f.write(b"y"))
show(open("a", "rb").read())

# %% truncate
with open("a", "w+") as f:
    f.write("0123456789")
    show(f.truncate(4), f.tell(), f.seek(0), f.read())
    show(f.truncate(6), f.seek(0), f.read())
    f.seek(2)
    show(f.truncate(), f.seek(0), f.read())
    tried(lambda: f.truncate(-1))
    tried(lambda: f.truncate("x"))
tried(lambda: open("a").truncate(1))
os.truncate("a", 1)
show(open("a").read())
tried(lambda: os.truncate("a", -1))
tried(lambda: os.truncate("a", 2**80))
tried(lambda: os.truncate("missing", 1))
os.mkdir("d")
tried(lambda: os.truncate("d", 1))

# %% closed files
f = open("a", "w+")
f.close()
f.close()
def refused(call):
    try:
        call()
    except ValueError as error:
        show(str(error).strip("."))
for call in (f.read, f.readline, f.tell, f.fileno, f.flush, f.isatty, f.readable, f.__enter__, lambda: f.write("x"),
             lambda: f.seek(0), lambda: next(f), lambda: f.truncate()):
    refused(call)
b = open("a", "rb", 0)
b.close()
for call in (b.read, b.readall, b.tell, b.fileno, b.isatty, b.readable, b.writable, b.seekable, lambda: b.seek(0)):
    refused(call)
show(f, b.closed, b)

# %% wrong direction
with open("a", "w") as f:
    tried(f.read)
    tried(lambda: next(f))
    tried(f.readline)
    tried(lambda: f.write(b"x"))
with open("a") as f:
    tried(lambda: f.write("x"))
    tried(lambda: f.writelines(["x"]))
with open("a", "rb") as f:
    tried(lambda: f.write(b"x"))
with open("a", "wb") as f:
    tried(f.read)

# %% representations
f = open("a", "w")
show(f, f.buffer, f.buffer.raw, type(f), type(f.buffer), isinstance(f.buffer.raw, io.FileIO))
show(isinstance(f, io.TextIOBase))
f.close()
show(f, f.buffer.raw)
show(open(b"a"), open(pathlib.Path("a")).name, open("./a", "rb"), open("a", "rb+"))

# %% files cannot be pickled or copied
f = open("a", "w")
tried(lambda: pickle.dumps(f))
tried(lambda: copy.deepcopy(f))

# %% deleted while open
f = open("a", "w+")
f.write("still here")
os.remove("a")
f.seek(0)
show(f.read(), os.path.exists("a"), os.fstat(f.fileno()).st_nlink)
open("a", "w").write("another")
f.seek(0)
show(f.read(), open("a").read())

# %% renamed while open
f = open("a", "w")
os.rename("a", "b")
f.write("x")
f.close()
show(open("b").read(), os.path.exists("a"))

# %% garbage closes and flushes
f = open("a", "w")
f.write("kept")
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    del f
    gc.collect()
show(open("a").read(), [(w.category.__name__, str(w.message)) for w in seen])

# %% an opener
def opener(path, flags):
    show(path, flags == os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    return os.open(path, flags, 0o600)
with open("a", "w", opener=opener) as f:
    f.write("x")
show(oct(os.stat("a").st_mode), f.name)
tried(lambda: open("a", opener=lambda *_: "x"))
tried(lambda: open("a", opener=lambda *_: os.open("missing", 0)))

# %% a descriptor's file
fd = os.open("a", os.O_RDWR | os.O_CREAT)
with open(fd, "w", closefd=False) as f:
    f.write("one")
    show(f.name == fd, f.buffer.raw.closefd)
show(os.lseek(fd, 0, 0), os.read(fd, 10))
with os.fdopen(fd, "r+") as f:
    show(f.read(), f.fileno() == fd, f.seek(0), f.read())
tried(lambda: os.read(fd, 1))
tried(lambda: os.fdopen("x"))

# %% a descriptor closed under a file
f = open("a", "wb", 0)
os.close(f.fileno())
tried(lambda: f.write(b"x"))
tried(f.close)
show(f.closed)

# %% a subclass of FileIO
class Loud(io.FileIO):
    def write(self, data):
        show("writes", bytes(data))
        return super().write(data)
with Loud("a", "w") as f:
    f.write(b"x")
    show(f.name, f.mode)
with io.TextIOWrapper(io.BufferedWriter(Loud("a", "a"))) as f:
    f.write("text")
show(open("a").read())
tried(lambda: io.FileIO("a", "z"))
tried(lambda: io.FileIO("a", "rw"))
tried(lambda: io.FileIO("missing"))
tried(lambda: io.FileIO("a", closefd=False))

# %% many layers
raw = io.FileIO("a", "w+")
buffered = io.BufferedRandom(raw)
text = io.TextIOWrapper(buffered, encoding="utf-8", write_through=True)
text.write("abc")
show(raw.tell(), buffered.tell(), text.detach() is buffered, buffered.detach() is raw, raw.readall())
raw.close()

# %% reconfigure
with open("a", "w") as f:
    f.write("é")
    f.reconfigure(encoding="latin-1", newline="\r\n")
    f.write("é\n")
show(open("a", "rb").read())

# %% the null device
with open(os.devnull, "w") as f, contextlib.redirect_stdout(f):
    print("gone")
show(open(os.devnull).read(), os.path.exists(os.devnull), os.path.isfile(os.devnull), os.stat(os.devnull).st_size)
with open("/dev/null", "rb+") as f:
    show(f.write(b"x" * 10), f.seek(0), f.read())

# %% print to a file
with open("a", "w") as f:
    print("x", 1, sep="-", end="!\n", file=f, flush=True)
    show(open("a").read())

# %% large files
data = os.urandom(3_000_000)
with open("a", "wb") as f:
    for start in range(0, len(data), 70_001):
        f.write(data[start:start + 70_001])
with open("a", "rb") as f:
    pieces = list(iter(lambda: f.read(123_457), b""))
show(b"".join(pieces) == data)
show(hashlib.file_digest(open("a", "rb"), "md5").hexdigest() == hashlib.md5(data).hexdigest())
"""
