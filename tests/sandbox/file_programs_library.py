"""Programs that use files: what the library builds on files, and packages."""

PROGRAMS = r"""
# %% pathlib writes and reads
p = Path("a.txt")
show(p.write_text("héllo"), p.read_text(), p.read_bytes(), p.write_bytes(b"xyz"), p.exists(), p.is_file())
show(p.stat().st_size)
tried(lambda: Path("missing").read_text())
tried(lambda: Path(".").read_text())
tried(lambda: Path("missing/x").write_text("x"))
with p.open("a", encoding="utf-8") as f:
    f.write("!")
show(p.read_text(), p.name, p.suffix, p.resolve(), p.absolute())

# %% pathlib directories
p = Path("a/b/c")
tried(p.mkdir)
p.mkdir(parents=True)
tried(p.mkdir)
p.mkdir(exist_ok=True, parents=True)
(p / "f").touch()
tried(lambda: (p / "f").mkdir(exist_ok=True))
tried(lambda: Path("a").rmdir())
show(sorted(Path("a").iterdir()), list(p.iterdir()), p.is_dir(), p.parent.is_dir(), Path("nope").is_dir())
tried(lambda: list(Path("missing").iterdir()))
tried(lambda: list((p / "f").iterdir()))

# %% pathlib removes and renames
p = Path("a")
p.touch()
tried(lambda: p.touch(exist_ok=False))
show(p.rename("b"), p.exists(), Path("b").replace("c"), Path("c").unlink(), Path("c").unlink(missing_ok=True))
tried(lambda: Path("c").unlink())
tried(lambda: Path("c").rename("d"))
Path("d").mkdir()
tried(lambda: Path("d").unlink())
Path("d").rmdir()
tree()

# %% pathlib globs
for path in ("a.py", "b.txt", "d/c.py", "d/e/f.py", ".h.py"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()
show(sorted(Path(".").glob("*.py")), sorted(Path(".").rglob("*.py")), sorted(Path(".").glob("**/*")))
show(sorted(Path(".").glob("d/*/")))
show(sorted(Path("d").glob("**")), sorted(Path(".").glob("*/c.py")), sorted(Path().glob("[ab].*")))
show(list(Path("missing").glob("*")))

# %% pathlib looks
p = Path("f")
p.write_text("x")
show(p.samefile("./f"), p.stat().st_mode == os.stat("f").st_mode, p.lstat().st_size, p.is_symlink())
show(p.is_mount(), p.is_fifo(), p.is_socket())
p.chmod(0o600)
show(oct(p.stat().st_mode), Path.cwd() == Path(os.getcwd()), Path.home(), Path("~/x").expanduser())
show(Path("/").is_mount())
tried(lambda: Path("missing").resolve(strict=True))
tried(lambda: Path("missing").stat())
show(Path("d/../f").resolve(), Path("missing").exists(), Path("f/x").exists(), Path("a\0b").exists())
if hasattr(Path, "walk"):
    show([(str(top), sorted(dirs), sorted(files)) for top, dirs, files in Path(".").walk()])
if hasattr(Path, "copy"):
    show(Path("f").copy("copied").read_text(), Path("copied").move("moved").read_text())

# %% glob
for path in ("a1.csv", "a2.csv", "b.txt", "d/a3.csv", "d/e/a4.csv", ".a5.csv"):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    open(path, "w").close()
show(sorted(glob.glob("*.csv")), sorted(glob.glob("**/*.csv", recursive=True)), sorted(glob.glob("a?.*")))
show(glob.glob("nope*"))
show(sorted(glob.iglob("*/")), sorted(glob.glob(os.path.join(os.getcwd(), "*"))))
show(sorted(glob.glob("*.csv", root_dir="d")))
show(sorted(glob.glob("*", include_hidden=True)), glob.glob("b.txt"), glob.glob("d/e/"), sorted(glob.glob(b"*.csv")))
fd = os.open("d", os.O_RDONLY)
show(sorted(glob.glob("**", dir_fd=fd, recursive=True)))
os.close(fd)

# %% shutil copies
open("a", "w").write("text")
os.chmod("a", 0o640)
os.utime("a", (1000, 2000))
show(shutil.copy("a", "b"), shutil.copy2("a", "c"), shutil.copyfile("a", "d"), oct(os.stat("b").st_mode))
show(oct(os.stat("d").st_mode))
show(os.stat("c").st_mtime, os.stat("b").st_mtime != 2000, [open(n).read() for n in "abcd"])
os.mkdir("dir")
show(shutil.copy("a", "dir"), shutil.copy2("a", "dir/x"))
for source, target in (("missing", "x"), ("a", "a"), ("a", "missing/x"), ("dir", "x"), ("a", "dir/missing/")):
    tried(lambda: shutil.copyfile(source, target))
    tried(lambda: shutil.copy(source, target))
open("big", "wb").write(bytes(range(256)) * 5000)
shutil.copyfile("big", "big2")
show(open("big", "rb").read() == open("big2", "rb").read())
open("empty", "w").close()
shutil.copy("empty", "empty2")
shutil.copymode("a", "b")
shutil.copystat("a", "b")
tree()

# %% shutil trees
os.makedirs("a/b/c")
for path in ("a/1.txt", "a/b/2.py", "a/b/c/3.txt"):
    open(path, "w").write(path)
show(shutil.copytree("a", "copy"), shutil.copytree("a", "some", ignore=shutil.ignore_patterns("*.py")))
tried(lambda: shutil.copytree("a", "copy"))
shutil.copytree("a", "copy", dirs_exist_ok=True)
tried(lambda: shutil.copytree("missing", "x"))
tree()
shutil.rmtree("copy")
tried(lambda: shutil.rmtree("copy"))
shutil.rmtree("copy", ignore_errors=True)
tried(lambda: shutil.rmtree("a/1.txt"))
shutil.rmtree(b"some")
show(shutil.rmtree.avoids_symlink_attacks)
tree()

# %% shutil moves
open("a", "w").write("x")
os.mkdir("d")
show(shutil.move("a", "b"), shutil.move("b", "d"), shutil.move("d", "e"))
tried(lambda: shutil.move("missing", "x"))
open("b", "w").close()
open("e/z", "w").close()
tried(lambda: shutil.move("e", "e/inside"))
os.makedirs("f/e")
tried(lambda: shutil.move("e", "f"))
tree()

# %% shutil archives
os.makedirs("src/sub")
open("src/a.txt", "w").write("A")
open("src/sub/b.txt", "w").write("B")
for kind in ("zip", "tar", "gztar", "bztar", "xztar"):
    name = shutil.make_archive("out-" + kind, kind, "src")
    show(name)
    shutil.unpack_archive(name, "un-" + kind)
    show(open(f"un-{kind}/sub/b.txt").read(), sorted(os.listdir("un-" + kind)))
show(os.path.basename(os.getcwd()) != "src")

# %% shutil which
open("tool", "w").write("#!")
show(shutil.which("tool", path="."), os.chmod("tool", 0o755), shutil.which("tool", path="."))
show(shutil.which("nope", path="."))

# %% tempfile names
with tempfile.NamedTemporaryFile("w+", suffix=".txt", prefix="pre-") as f:
    f.write("x")
    f.flush()
    show(os.path.exists(f.name), open(f.name).read(), os.path.basename(f.name)[:4], f.name[-4:])
    show(oct(os.stat(f.name).st_mode), os.path.dirname(f.name))
show(os.path.exists(f.name), tempfile.gettempdir(), tempfile.gettempprefix())
with tempfile.NamedTemporaryFile("w", delete=False, dir=".") as f:
    f.write("kept")
show(open(f.name).read(), os.path.dirname(f.name) == os.getcwd())

# %% tempfile directories
with tempfile.TemporaryDirectory() as d:
    open(os.path.join(d, "a"), "w").write("x")
    os.makedirs(os.path.join(d, "b/c"))
    show(sorted(os.listdir(d)), oct(os.stat(d).st_mode))
show(os.path.exists(d))
d = tempfile.mkdtemp(prefix="q", dir=".")
show(os.path.isdir(d), os.path.basename(d)[0])
fd, name = tempfile.mkstemp(text=True)
os.write(fd, b"x")
os.close(fd)
show(open(name).read(), os.remove(name))

# %% tempfile without a name
with tempfile.TemporaryFile("w+") as f:
    f.write("x\ny\n")
    f.seek(0)
    show(f.readlines(), isinstance(f.name, int))
with tempfile.SpooledTemporaryFile(max_size=4, mode="w+") as f:
    f.write("12")
    show(f._rolled)
    f.write("345")
    f.seek(0)
    show(f._rolled, f.read(), f.fileno() > 2)

# %% csv
rows = [["name", "n"], ["a,b", "1"], ['q"uote', "2"], ["multi\nline", "3"]]
with open("a.csv", "w", newline="") as f:
    csv.writer(f).writerows(rows)
with open("a.csv", newline="") as f:
    show(list(csv.reader(f)) == rows)
show(open("a.csv", "rb").read())
with open("b.csv", "w", newline="") as f:
    w = csv.DictWriter(f, ["x", "y"])
    w.writeheader()
    w.writerow({"x": 1, "y": 2})
with open("b.csv") as f:
    show(list(csv.DictReader(f)))

# %% json
with open("a.json", "w") as f:
    json.dump({"a": [1, None, "ž"]}, f, indent=1)
with open("a.json") as f:
    show(json.load(f))
show(open("a.json").read())
open("bad.json", "w").write("{")
tried(lambda: json.load(open("bad.json")))

# %% pickle, marshal and copies
with open("a.pkl", "wb") as f:
    pickle.dump({"x": {1, 2}}, f)
    pickle.dump("second", f)
with open("a.pkl", "rb") as f:
    show(pickle.load(f), pickle.load(f))
    tried(lambda: pickle.load(f))
with open("m", "wb") as f:
    marshal.dump((1, "x"), f)
with open("m", "rb") as f:
    show(marshal.load(f))

# %% gzip, bz2, lzma
for module, name in ((gzip, "a.gz"), (bz2, "a.bz2"), (lzma, "a.xz")):
    with module.open(name, "wt", encoding="utf-8") as f:
        f.write("line é\n" * 1000)
    with module.open(name, "rt", encoding="utf-8") as f:
        show(name, len(f.read()), os.path.getsize(name) < 500)
    with module.open(name, "ab") as f:
        f.write(b"more")
    with module.open(name) as f:
        show(f.read()[-10:], f.seek(5), f.read(3))
    tried(lambda: module.open("missing"))
with gzip.GzipFile("b.gz", "w") as f:
    show(f.name)
    f.write(b"x")
show(gzip.open("b.gz").read())
open("c.gz", "w").write("no gzip")
tried(lambda: gzip.open("c.gz").read())

# %% zipfile
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("x/y.txt", "text" * 100)
    open("f", "w").write("file")
    z.write("f")
    z.write("f", "renamed")
with zipfile.ZipFile("a.zip") as z:
    show(z.namelist(), z.read("f"), z.testzip(), z.getinfo("x/y.txt").file_size)
    with z.open("x/y.txt") as f:
        show(f.read(6))
    show(os.path.relpath(z.extract("f", "out")))
    z.extractall("all")
    tried(lambda: z.read("missing"))
with zipfile.ZipFile("a.zip", "a") as z:
    z.writestr("more", "m")
show(zipfile.ZipFile("a.zip").namelist(), zipfile.is_zipfile("a.zip"), zipfile.is_zipfile("f"))
show(zipfile.is_zipfile("missing"))
show(zipfile.Path("a.zip", "x/y.txt").read_text(encoding="utf-8")[:4])
tried(lambda: zipfile.ZipFile("f"))
tried(lambda: zipfile.ZipFile("missing.zip"))
tree()

# %% tarfile
os.makedirs("d/e")
open("d/e/f", "w").write("data")
for mode, name in (("w", "a.tar"), ("w:gz", "a.tgz"), ("w:xz", "a.txz")):
    with tarfile.open(name, mode) as t:
        t.add("d")
        info = tarfile.TarInfo("mem")
        info.size = 3
        t.addfile(info, io.BytesIO(b"abc"))
    with tarfile.open(name) as t:
        show(t.getnames(), t.extractfile("d/e/f").read(), t.getmember("mem").size)
        t.extractall("out" + mode[-2:], filter="data")
show(open("outgz/d/e/f").read(), tarfile.is_tarfile("a.tar"), tarfile.is_tarfile("outgz/mem"))
with tarfile.open("a.tar", "a") as t:
    t.add("outgz/mem")
show(tarfile.open("a.tar").getnames()[-1])
tried(lambda: tarfile.open("missing.tar"))
tried(lambda: tarfile.open("outgz/mem"))

# %% configparser and tomllib
c = configparser.ConfigParser()
c["a"] = {"x": "1", "y": "%(x)s2"}
with open("a.ini", "w") as f:
    c.write(f)
d = configparser.ConfigParser()
show(d.read(["missing.ini", "a.ini"]), d["a"]["y"], open("a.ini").read())
tried(lambda: d.read_file(open("missing.ini")))
open("a.toml", "w").write("[t]\nx = [1, 2]\n")
show(tomllib.load(open("a.toml", "rb")))
tried(lambda: tomllib.load(open("a.toml")))

# %% fileinput
open("a", "w").write("one\ntwo\n")
open("b", "w").write("three\n")
with fileinput.input(["a", "b"]) as f:
    for line in f:
        show(fileinput.filename(), fileinput.lineno(), fileinput.filelineno(), fileinput.isfirstline(), line)
with fileinput.input("a", inplace=True, backup=".bak") as f:
    for line in f:
        print(line.upper(), end="")
show(open("a").read(), open("a.bak").read())
tried(lambda: list(fileinput.input("missing")))

# %% logging
logger = logging.getLogger("files-1")
logger.propagate = False
logger.setLevel("INFO")
handler = logging.FileHandler("a.log")
handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
logger.addHandler(handler)
logger.info("hello %s", "you")
logger.debug("not this")
show(open("a.log").read(), handler)
handler.close()
logger.removeHandler(handler)
r = logging.handlers.RotatingFileHandler("r.log", maxBytes=20, backupCount=2)
logger.addHandler(r)
for n in range(5):
    logger.info("message %d", n)
r.close()
logger.removeHandler(r)
show({name: open(name).read() for name in sorted(os.listdir()) if name.startswith("r.log")})
tried(lambda: logging.FileHandler("missing/a.log"))

# %% shelve and dbm
with shelve.open("s") as s:
    s["a"] = [1, {"b": 2}]
    s["c"] = "d"
with shelve.open("s") as s:
    show(sorted(s), s["a"], "x" in s)
    del s["c"]
with shelve.open("s", writeback=True) as s:
    s["a"].append(3)
show(dict(shelve.open("s")))
import dbm.dumb
with dbm.dumb.open("d", "c") as d:
    d["k"] = "v"
    d[b"x"] = b"y"
with dbm.dumb.open("d", "r") as d:
    show(sorted(d.keys()), d["k"], len(d))
show(dbm.whichdb("d"), dbm.whichdb("missing"))
tried(lambda: dbm.dumb.open("missing", "r"))

# %% linecache, tokenize and tracebacks
open("mod.py", "w").write("# coding: latin-1\nx = 1\ndef f():\n    return 1 / 0\n")
show(linecache.getline("mod.py", 2), linecache.getlines("missing.py"), tokenize.open("mod.py").encoding)
exec(compile(open("mod.py").read(), "mod.py", "exec"))
try:
    f()
except ZeroDivisionError:
    show(traceback.format_exc().splitlines()[-3:])
show(inspect.getsource(f))
linecache.clearcache()

# %% import a module
open("helper_one.py", "w").write("'Doc.'\nVALUE = 41\ndef f():\n    return VALUE + 1\n")
import helper_one
show(helper_one.f(), helper_one.__doc__, helper_one.__name__, os.path.relpath(helper_one.__file__))
show(inspect.getsource(helper_one.f))
tried(lambda: importlib.import_module("no_such_module"))
tried(lambda: importlib.import_module("helper_one.sub"))
open("helper_one.py", "w").write("VALUE = 1\nNEW = True\n")
show(importlib.reload(helper_one).NEW, helper_one.VALUE)

# %% import a package
os.makedirs("pack_one/inner")
open("pack_one/__init__.py", "w").write("from . import a\n")
open("pack_one/a.py", "w").write("from .inner.b import B\n")
open("pack_one/inner/__init__.py", "w").close()
open("pack_one/inner/b.py", "w").write("B = __name__, __package__\n")
import pack_one.inner.b
from pack_one.a import B
show(B, pack_one.__path__[0].endswith("pack_one"), os.path.relpath(pack_one.inner.b.__file__))
os.makedirs("space_one")
open("space_one/m.py", "w").write("X = 5\n")
import space_one.m
show(space_one.m.X, space_one.__file__ if hasattr(space_one, "__file__") else None)

# %% import by path
open("elsewhere.py", "w").write("Y = 7\n")
spec = importlib.util.spec_from_file_location("by_path", "elsewhere.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
show(module.Y, spec.name)
os.mkdir("lib")
open("lib/from_sys_path.py", "w").write("Z = 8\n")
sys.path.append("lib")
import from_sys_path
show(from_sys_path.Z)
sys.path.remove("lib")
show(runpy.run_path("elsewhere.py")["Y"], importlib.util.find_spec("elsewhere") is not None)

# %% import mistakes
open("broken_one.py", "w").write("def f(:\n")
tried(lambda: importlib.import_module("broken_one"))
open("raises_one.py", "w").write("import helper_that_is_missing\n")
tried(lambda: importlib.import_module("raises_one"))
open("late_one.py", "w").write("X = 1")
show(importlib.import_module("late_one").X)

# %% XML
import xml.etree.ElementTree as ET
root = ET.Element("a")
ET.SubElement(root, "b", x="1").text = "é"
ET.ElementTree(root).write("a.xml", encoding="utf-8", xml_declaration=True)
show(open("a.xml", "rb").read(), ET.parse("a.xml").getroot()[0].attrib)
tried(lambda: ET.parse("missing.xml"))
import xml.dom.minidom
show(xml.dom.minidom.parse("a.xml").documentElement.tagName)

# %% other formats
with wave.open("a.wav", "wb") as w:
    w.setparams((1, 2, 8000, 0, "NONE", ""))
    w.writeframes(b"\1\2" * 10)
show(wave.open("a.wav").getnframes())
plistlib.dump({"a": 1}, open("a.plist", "wb"))
show(plistlib.load(open("a.plist", "rb")))
box = mailbox.mbox("box")
box.add("Subject: hi\n\nbody\n")
box.flush()
box.close()
show([m["subject"] for m in mailbox.mbox("box")])
show(filecmp.cmp("a.wav", "a.wav"), filecmp.dircmp(".", ".").common)
open("a.html", "w").write("<p>")
show(urllib.request.urlopen("file://" + os.path.abspath("a.html")).read())

# %% codecs
with codecs.open("a", "w", "utf-16") as f:
    f.write("é")
with codecs.open("a", encoding="utf-16") as f:
    show(f.read())

# %% contextlib
with contextlib.ExitStack() as stack:
    files = [stack.enter_context(open(f"{n}.txt", "w")) for n in range(3)]
    for n, f in enumerate(files):
        f.write(str(n))
show([f.closed for f in files], sorted(os.listdir()))
with open("out", "w") as f, contextlib.redirect_stdout(f):
    print("redirected")
show(open("out").read())

# %% threads
def write(n):
    with open(f"t{n}", "w") as f:
        for i in range(200):
            f.write(f"{i}\n")
    with open("shared", "a") as f:
        f.write("x")
    return sum(int(line) for line in open(f"t{n}"))
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    show(set(pool.map(write, range(16))), os.path.getsize("shared"), len(os.listdir()))
def exclusive(_):
    try:
        open("once", "x").close()
        return 1
    except FileExistsError:
        return 0
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    show(sum(pool.map(exclusive, range(64))))

# %% asyncio
async def main():
    open("a", "w").write("x")
    text = await asyncio.to_thread(Path("a").read_text)
    r, w = os.pipe()
    loop = asyncio.get_running_loop()
    got = loop.create_future()
    loop.add_reader(r, lambda: got.set_result(os.read(r, 10)))
    os.write(w, b"ping")
    data = await got
    loop.remove_reader(r)
    os.close(r)
    os.close(w)
    server = await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0.01, 2))
    return text, data, server
show(asyncio.run(main()))

# %% sockets
a, b = socket.socketpair()
f = a.makefile("rw")
f.write("hello\n")
f.flush()
show(b.recv(10), os.write(b.fileno(), b"back\n"), f.readline())
show(os.fstat(a.fileno()).st_mode & 0o170000 == stat.S_IFSOCK)
open("file", "wb").write(b"z" * 1000)
with open("file", "rb") as source:
    show(a.sendfile(source), len(b.recv(2000)))
f.close()
a.close()
b.close()

# %% sqlite in memory
db = sqlite3.connect(":memory:")
db.execute("create table t(x)")
db.executemany("insert into t values (?)", [(1,), (2,)])
show(db.execute("select sum(x) from t").fetchall())
db.close()

# %% profiles
cProfile.runctx("sum(range(10))", {}, {}, "prof")
show(os.path.exists("prof"), pstats.Stats("prof", stream=io.StringIO()).total_calls > 0)

# %% a to-do list
class Todo:
    def __init__(self, path):
        self.path = Path(path)
        self.items = json.loads(self.path.read_text()) if self.path.exists() else []
    def add(self, text):
        self.items.append({"text": text, "done": False})
        scratch = self.path.with_suffix(".tmp")
        scratch.write_text(json.dumps(self.items))
        scratch.replace(self.path)
Todo("todo.json").add("milk")
Todo("todo.json").add("eggs")
show(Todo("todo.json").items, sorted(p.name for p in Path().iterdir()))

# %% words of a file
Path("text.txt").write_text("the cat the dog\nthe end\n")
show(collections.Counter(word for line in open("text.txt") for word in line.split()).most_common(2))
with open("text.txt") as source, open("upper.txt", "w") as target:
    for number, line in enumerate(source, 1):
        target.write(f"{number:>3}: {line.upper()}")
show(open("upper.txt").read())

# %% a file tree with sizes
def size(path):
    return sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file())
for n in range(3):
    Path(f"p/{n}").mkdir(parents=True)
    Path(f"p/{n}/data").write_bytes(b"x" * 100 * n)
show(size("p"), sorted((os.path.getsize(p), str(p)) for p in Path("p").rglob("data")))
largest = max(Path("p").rglob("data"), key=lambda p: p.stat().st_size)
show(largest, largest.relative_to("p").parts)

# %% errors that stop the program
with open("partial", "w") as f:
    f.write("written")
    raise KeyError("stopped")

# %% an uncaught missing file
open("nowhere/at all.txt")

# %% an uncaught rename
os.rename("this", "that")
"""

PACKAGES = r"""
# %% numpy saves and loads
import numpy as np
a = np.arange(12).reshape(3, 4)
np.save("a.npy", a)
np.save("b", a)
show(np.load("a.npy").tolist(), sorted(os.listdir()), np.load(open("b.npy", "rb")).sum())
np.savez("c.npz", x=a, y=a.T)
np.savez_compressed("d.npz", z=a)
with np.load("c.npz") as z:
    show(sorted(z), z["y"].shape)
show(np.load("d.npz")["z"].max())
with open("e.npy", "wb") as f:
    np.save(f, a)
    np.save(f, a + 1)
with open("e.npy", "rb") as f:
    show(np.load(f)[0, 0], np.load(f)[0, 0])
np.save("o.npy", np.array([{"x": 1}], dtype=object), allow_pickle=True)
show(np.load("o.npy", allow_pickle=True))
tried(lambda: np.load("missing.npy"))
np.save("f.npy", np.asfortranarray(a))
show(np.load("f.npy").flags.f_contiguous)

# %% numpy text
import numpy as np
np.savetxt("a.txt", np.array([[1.5, 2], [3, 4]]), fmt="%.2f", delimiter=",", header="x,y")
show(open("a.txt").read(), np.loadtxt("a.txt", delimiter=",").tolist(), np.genfromtxt("a.txt", delimiter=",").shape)
np.savetxt("a.gz", np.eye(2))
show(np.loadtxt("a.gz").tolist())
tried(lambda: np.loadtxt("missing.txt"))
open("n.txt", "w").write("1 2 3\n4 5 6\n")
show(np.loadtxt("n.txt", dtype=int, usecols=(0, 2)).tolist(), np.fromstring("1 2", sep=" "))

# %% numpy fromfile
import numpy as np
open("raw", "wb").write(np.arange(6, dtype="<i4").tobytes())
show(np.fromfile("raw", dtype="<i4"), np.fromfile("raw", dtype="<i4", count=2, offset=4))
show(np.fromfile(Path("raw"), "<i2", 3))
with open("raw", "rb") as f:
    f.read(4)
    show(np.fromfile(f, dtype="<i4", count=2), np.fromfile(f, dtype="<i4"), f.tell())
open("text", "w").write("1, 2, 3.5")
show(np.fromfile("text", sep=","))
tried(lambda: np.fromfile("missing"))

# %% pandas and CSV
import pandas as pd
df = pd.DataFrame({"a": [1, 2], "b": ["x", "ž"]})
df.to_csv("a.csv", index=False)
show(open("a.csv").read(), pd.read_csv("a.csv").to_dict("list"))
df.to_csv("a.csv.gz")
show(pd.read_csv("a.csv.gz", index_col=0).shape, pd.read_csv(Path("a.csv"), engine="python").shape)
df.to_csv("a.csv", mode="a", header=False, index=False)
show(len(pd.read_csv("a.csv")), [len(c) for c in pd.read_csv("a.csv", chunksize=3)])
with open("b.csv", "w") as f:
    df.to_csv(f, sep=";")
show(pd.read_csv("b.csv", sep=";", usecols=["a"])["a"].sum())
tried(lambda: pd.read_csv("missing.csv"))
tried(lambda: df.to_csv("missing/a.csv"))
open("empty.csv", "w").close()
tried(lambda: pd.read_csv("empty.csv"))

# %% pandas and other formats
import pandas as pd
df = pd.DataFrame({"a": [1.5, None], "b": pd.to_datetime(["2024-01-01", "2024-02-03"])})
df.to_pickle("a.pkl")
df.to_json("a.json", orient="records", lines=True)
show(pd.read_pickle("a.pkl").equals(df), pd.read_json("a.json", lines=True)["a"].sum())
show(open("a.json").read().count("\n"))
df.to_csv("a.zip")
show(pd.read_csv("a.zip").shape)
df.to_html("a.html")
show(os.path.getsize("a.html") > 100, pd.concat(pd.read_csv(f) for f in glob.glob("*.zip")).shape)
"""
