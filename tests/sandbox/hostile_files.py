"""Attempts at files, the proc file system and the environment."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: Ways to get at the content of SECRET_FILE, or at that it exists. Each becomes an attempt of its own.
READING = {
    "read a file with open": "open(SECRET_FILE).read()",
    "read a file with io.open": "io.open(SECRET_FILE).read()",
    "read a file with _io.open": "__import__('_io').open(SECRET_FILE).read()",
    "read a file with io.FileIO": "io.FileIO(SECRET_FILE).read()",
    "read a file with io.open_code": "io.open_code(SECRET_FILE).read()",
    "read a file with _io.open_code": "__import__('_io').open_code(SECRET_FILE).read()",
    "read a file with codecs.open": "__import__('codecs').open(SECRET_FILE).read()",
    "read a file with os.open": "os.read(os.open(SECRET_FILE, os.O_RDONLY), 99)",
    "read a file with posix.open": "os.read(__import__('posix').open(SECRET_FILE, 0), 99)",
    "read a file with pathlib": "__import__('pathlib').Path(SECRET_FILE).read_text()",
    "read a file with an opener": "open(SECRET_FILE, opener=lambda p, f: os.open(p, f)).read()",
    "read a file through dir_fd": "os.read(os.open(SECRET_FILE.lstrip('/'), 0, dir_fd=3), 99)",
    "read a file through AT_FDCWD": "os.read(os.open('..' + SECRET_FILE, 0), 99)",
    "read a file through /proc/self/root": "os.read(os.open('/proc/self/root' + SECRET_FILE, 0), 99)",
    "read a file through bytes": "open(os.fsencode(SECRET_FILE), 'rb').read()",
    "read a file with O_PATH": "os.open(SECRET_FILE, os.O_PATH)",
    "read a file with tokenize": "__import__('tokenize').open(SECRET_FILE).read()",
    "read a file with fileinput": "list(__import__('fileinput').input(SECRET_FILE))",
    "read a file with shutil": "__import__('shutil').copyfileobj(io.FileIO(SECRET_FILE), io.BytesIO()) or 'read'",
    "read a file with a loader": "__import__('importlib.machinery').machinery.SourceFileLoader('x', SECRET_FILE).get_data(SECRET_FILE)",
    "read a file with tarfile": "__import__('tarfile').open('x.tar', 'w', io.BytesIO()).gettarinfo(SECRET_FILE)",
    "read a file with zipfile": "__import__('zipfile').ZipFile(io.BytesIO(), 'w').write(SECRET_FILE)",
    "read a file with configparser": "__import__('configparser').ConfigParser().read_file(open(SECRET_FILE))",
    "read a file with a netrc parser": "__import__('netrc').netrc(SECRET_FILE)",
    "read a file with ElementTree": "__import__('xml.etree.ElementTree').etree.ElementTree.parse(SECRET_FILE)",
    "read a file with a file URL": "__import__('urllib.request').request.urlopen('file://' + SECRET_FILE).read()",
    "stat a file": "os.stat(SECRET_FILE)",
    "lstat a file": "os.lstat(SECRET_FILE)",
    "stat a file with posix": "__import__('posix').stat(SECRET_FILE)",
    "list a directory": "os.listdir(PLACE)",
    "list a directory with posix": "__import__('posix').listdir(PLACE)",
    "list a directory by descriptor": "__import__('posix').listdir(3)",
    "scan a directory": "list(os.scandir(PLACE))",
    "read a link": "os.readlink('/proc/self/exe')",
    "change the directory": "__import__('posix').chdir('/proc')",
    "change the root": "os.chroot('/')",
    "ask a file system": "os.statvfs('/')",
    "read an attribute": "os.getxattr(SECRET_FILE, 'user.x')",
    "list attributes": "os.listxattr(SECRET_FILE)",
    "open the memory of the process": "os.open('/proc/self/mem', os.O_RDWR)",
    "read the maps of the process": "os.read(os.open('/proc/self/maps', 0), 99)",
    "read its own environment in proc": "os.read(os.open('/proc/self/environ', 0), 99)",
    "read the host's environment in proc": "os.read(os.open(f'/proc/{HOST_PID}/environ', 0), 9999)",
    "read the host's memory in proc": "os.open(f'/proc/{HOST_PID}/mem', os.O_RDWR)",
    "read the parent's memory in proc": "os.open(f'/proc/{os.getppid()}/mem', os.O_RDWR)",
    "read the parent's descriptors in proc": "os.listdir(f'/proc/{os.getppid()}/fd')",
    "read the neighbour's memory in proc": "os.open(f'/proc/{NEIGHBOUR_PID}/mem', os.O_RDWR)",
    "read the neighbour's maps in proc": "open(f'/proc/{NEIGHBOUR_PID}/maps').read()",
    "read the neighbour's status in proc": "os.read(os.open(f'/proc/{NEIGHBOUR_PID}/status', 0), 999)",
    "write the out-of-memory score": "os.open('/proc/self/oom_score_adj', os.O_WRONLY)",
    "write the uid map": "os.open('/proc/self/uid_map', os.O_WRONLY)",
    "open an inherited descriptor in proc": "os.open('/proc/self/fd/3', os.O_RDWR)",
    "list processes": "__import__('posix').listdir('/proc')",
    "read the sockets of the machine": "os.read(os.open('/proc/net/tcp', 0), 999)",
    "open a terminal": "os.open('/dev/tty', os.O_RDWR)",
    "open a pseudo terminal": "os.openpty()",
    "open a block device": "os.open('/dev/vda', os.O_RDONLY)",
    "open kernel memory": "os.open('/dev/mem', os.O_RDONLY)",
    "open shared memory of POSIX": "__import__('_posixshmem').shm_open('/tinyagent-hostile', os.O_CREAT | os.O_RDWR, 0o600)",
    "make shared memory": "__import__('multiprocessing.shared_memory').shared_memory.SharedMemory(create=True, size=64)",
    "open sys.executable": "os.open(sys.executable or '/bin/sh', 0)",
}

#: Ways to change something in PLACE; what the code is told does not matter, what lies there does.
CHANGING = {
    "write a file with open": "open(PLACE + '/new', 'w').write('x')",
    "append to a file with open": "open(VICTIM_FILE, 'a').write('x')",
    "write a file with pathlib": "__import__('pathlib').Path(VICTIM_FILE).write_text('x')",
    "touch a file": "__import__('pathlib').Path(PLACE, 'new').touch()",
    "write a file with os.open": "os.write(os.open(PLACE + '/new', os.O_CREAT | os.O_WRONLY), b'x')",
    "write a file with posix.open": "__import__('posix').open(PLACE + '/new', os.O_CREAT | os.O_WRONLY)",
    "write a file without a name": "os.open(PLACE, os.O_TMPFILE | os.O_RDWR)",
    "make a directory": "os.mkdir(PLACE + '/new')",
    "remove a file": "os.remove(VICTIM_FILE)",
    "remove a file with posix": "__import__('posix').unlink(VICTIM_FILE)",
    "remove a tree": "__import__('shutil').rmtree(PLACE)",
    "rename a file": "os.rename(VICTIM_FILE, PLACE + '/new')",
    "replace a file with posix": "__import__('posix').replace(VICTIM_FILE, PLACE + '/new')",
    "link a file": "os.link(SECRET_FILE, PLACE + '/new')",
    "symlink a file": "os.symlink(SECRET_FILE, PLACE + '/new')",
    "truncate a file": "os.truncate(VICTIM_FILE, 0)",
    "change a file's mode": "os.chmod(VICTIM_FILE, 0)",
    "change a file's owner": "os.chown(VICTIM_FILE, os.getuid(), os.getgid())",
    "change a file's times": "os.utime(VICTIM_FILE, (1, 1))",
    "set an attribute": "os.setxattr(VICTIM_FILE, 'user.x', b'x')",
    "make a fifo": "os.mkfifo(PLACE + '/new')",
    "make a device": "os.mknod(PLACE + '/new')",
    "make a temporary file there": "__import__('tempfile').NamedTemporaryFile(dir=PLACE, delete=False)",
    "make a temporary directory there": "__import__('tempfile').mkdtemp(dir=PLACE)",
    "copy a file": "__import__('shutil').copy(SECRET_FILE, PLACE + '/new')",
    "write a zip": "__import__('zipfile').ZipFile(PLACE + '/new', 'w').writestr('a', 'b')",
    "write a log": "__import__('logging').FileHandler(PLACE + '/new').close()",
    "write a shelf": "__import__('shelve').open(PLACE + '/new')['a'] = 1",
    "write a database": "__import__('sqlite3').connect(PLACE + '/new').execute('create table t (a)')",
    "write a dump of threads": "__import__('faulthandler').dump_traceback(io.FileIO(PLACE + '/new', 'w'))",
    "write an allocation snapshot": "__import__('tracemalloc').start() or __import__('tracemalloc').take_snapshot().dump(PLACE + '/new')",
    "write byte code": "__import__('py_compile').compile(SECRET_FILE, PLACE + '/new')",
    "write with libc.fopen": "libc.fopen((PLACE + '/new').encode(), b'w')",
    "write with libc.creat": "libc.creat((PLACE + '/new').encode(), 0o600)",
    "remove with libc.unlink": "libc.unlink(VICTIM_FILE.encode())",
    "run a script that writes": "libc.system(f'touch {PLACE}/new'.encode())",
}

OTHERS = r"""
### print a secret as the source line of a traceback | ZeroDivisionError
exec(compile("1 / 0", SECRET_FILE, "exec"))

### print a secret as the source line of a warning | ends
import warnings
warnings.resetwarnings()
warnings.warn_explicit("look", UserWarning, SECRET_FILE, 1)
import linecache
linecache.checkcache()
print(linecache.getline(SECRET_FILE, 1))

### print a secret as source of a module | ends
import inspect, types
planted = types.ModuleType("planted")
planted.__file__ = SECRET_FILE
inspect.getsource(planted)

### print a secret with the crash handler | ends
import faulthandler
exec(compile("import faulthandler; faulthandler.dump_traceback(file=1)", SECRET_FILE, "exec"))

### import a file | ModuleNotFoundError
sys.path.insert(0, PLACE)
import planted

### import a file with a cleared importer cache | ModuleNotFoundError or FileNotFoundError or PermissionError
import importlib
sys.path_importer_cache.clear()
sys.path[:] = [PLACE]
importlib.invalidate_caches()
importlib.import_module("planted")

### import a zip | ModuleNotFoundError or ZipImportError
import zipimport
zipimport.zipimporter(PLACE + "/planted.zip")

### load a library | OSError
ctypes.CDLL("libBrokenLocale.so.1")

### load a library by path | OSError
ctypes.CDLL("/lib/x86_64-linux-gnu/libBrokenLocale.so.1")

### load an extension module | ImportError or OSError
import importlib.machinery, importlib.util
loader = importlib.machinery.ExtensionFileLoader("planted", PLACE + "/planted.so")
importlib.util.module_from_spec(importlib.util.spec_from_loader("planted", loader))

### load a library with dlopen | == 0
libc.dlopen.restype = ctypes.c_void_p
libc.dlopen(b"libBrokenLocale.so.1", 2) or 0

### open a database that exists | OperationalError
import sqlite3
sqlite3.connect(f"file:{SECRET_FILE}?mode=ro", uri=True).execute("select * from sqlite_master")

### attach a database to one in memory | OperationalError
import sqlite3
sqlite3.connect(":memory:").execute(f"attach '{PLACE}/new' as other")

### load an extension of the database | ends
import sqlite3
database = sqlite3.connect(":memory:")
database.enable_load_extension(True)
database.load_extension(PLACE + "/planted.so")

### vacuum a database into a file | OperationalError
import sqlite3
database = sqlite3.connect(":memory:")
database.execute("create table t (a)")
database.execute(f"vacuum into '{PLACE}/new'")

### does a file exist | == [False, False, False]
import posixpath, pathlib
[os.path.exists(SECRET_FILE), os.access(SECRET_FILE, os.R_OK), pathlib.Path(SECRET_FILE).is_file()]

### does libc see a file | == [-1, 0]
libc.fopen.restype = ctypes.c_void_p
[libc.access(SECRET_FILE.encode(), 0), libc.fopen(SECRET_FILE.encode(), b"r") or 0]

### glob and walk a directory | == [[], []]
import glob
[glob.glob(PLACE + "/*"), list(os.walk(PLACE))]

### what lies behind the file functions | denied
import types
def inner(function):
    return [c.cell_contents for c in (function.__closure__ or ()) if callable(c.cell_contents)] if isinstance(
        function, types.FunctionType) else []
found = [f for g in (open, io.open, os.open, os.stat, os.listdir) for f in [g, *inner(g)]]
answers = [refused(lambda f=f: f(SECRET_FILE)) for f in found if f not in (os.open,)]
next((a for a in answers if a.startswith("BREACH")), "ENOENT")

### find a file in the objects of the process | == []
[f for f in gc.get_objects() if isinstance(f, io.FileIO) and not f.closed and f.fileno() > 3]

### mmap a descriptor that is none | denied
refused(mmap.mmap, 3, 4096)

### mmap the null device | ends
refused(mmap.mmap, 0, 4096)

### use every descriptor | == []
kinds = []
for number in range(4, 256):
    try:
        kinds.append((number, oct(os.fstat(number).st_mode)))
    except OSError:
        pass
[k for k in kinds if k[1].startswith(("0o10", "0o4", "0o6"))]

### write on every descriptor | ends | tampers
for number in range(4, 256):
    try:
        os.set_blocking(number, False)
        os.write(number, b'{"t":"fork","id":1}')
    except OSError:
        pass

### open the null device again | ends
print(os.read(os.open("/dev/null", os.O_RDWR), 9))

### read the environment | == []
sorted(os.environ.keys() - {"HOME"})

### read the environment of posix | == []
sorted(__import__("posix").environ.keys() - {b"HOME"})

### read the environment of libc | == [0, 0]
libc.getenv.restype = libc.secure_getenv.restype = ctypes.c_void_p
[libc.getenv(n) or 0 for n in (ENV_NAME.encode(), b"PATH")]

### read the start of the stack | ends
at = ctypes.c_void_p.in_dll(libc, "environ").value or ctypes.addressof(ctypes.c_char_p.in_dll(libc, "program_invocation_name"))
for page in range(at & ~4095, (at & ~4095) + 64 * 4096, 4096):
    print(re.findall(rb"[ -~]{6,}", readable(page, 4096)))

### read the stack where the program's name lies | ends
at = ctypes.c_void_p.in_dll(libc, "program_invocation_name").value & ~4095
for page in range(at - 16 * 4096, at + 32 * 4096, 4096):
    print(re.findall(rb"[ -~]{6,}", readable(page, 4096)))

### read the arguments of the interpreter | ends
print(sys.argv, sys.orig_argv, sys.flags, sys._xoptions, sys.warnoptions)

### set a variable that other programs would read | ends
os.environ["LD_PRELOAD"] = PLACE + "/planted.so"
libc.setenv(b"PYTHONPATH", PLACE.encode(), 1)

### read what the sandbox's modules hold | ends
for name, module in list(sys.modules.items()):
    if name.startswith("tinyagent"):
        print(name, {k: repr(v)[:2000] for k, v in vars(module).items() if k != "__builtins__"})

### write beyond the size a file may have | ends
inward, outward = os.pipe()
os.ftruncate(outward, 1 << 30)
"""


def table(entries: dict[str, str], expect: str, form: str) -> str:
    """Attempts that are one expression each."""
    return "".join(f"\n### {name} | {expect}\n{form.format(code)}\n" for name, code in entries.items())


ATTEMPTS = table(READING, "denied", "refused(lambda: {})") + table(CHANGING, "ends", "{}") + OTHERS
