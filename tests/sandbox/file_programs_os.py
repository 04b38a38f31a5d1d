"""Programs that use files: the functions of `os` and `os.path`."""

PROGRAMS = r"""
# %% stat
open("a", "w").write("12345")
os.mkdir("d")
for path in ("a", "d", b"a", pathlib.Path("a")):
    s = os.stat(path)
    show(oct(s.st_mode), s.st_size if stat.S_ISREG(s.st_mode) else None, s.st_uid == os.getuid())
    show(s.st_gid == os.getgid())
    show(type(s).__name__, stat.filemode(s.st_mode), len(s), s[6] == s.st_size)
    show(abs(s.st_mtime - s.st_mtime_ns / 1e9) < 1e-6)
    show(abs(s.st_mtime - time.time()) < 60, s.st_blksize > 0, s == os.lstat(path))
    show(stat.S_ISDIR(s.st_mode) or s.st_nlink)
show(os.stat("a").st_ino == os.stat("./a").st_ino != os.stat("d").st_ino, os.stat("a").st_dev == os.stat("d").st_dev)

# %% wrong arguments of stat
for path in ("missing", "a/b", "", b"missing", None, 1.5, [], "a\0b", "missing/", "x" * 300, "\ud800"):
    tried(lambda: os.stat(path))
    tried(lambda: os.lstat(path))
tried(lambda: os.stat("x/" * 3000))
tried(lambda: os.stat(54321))
tried(lambda: os.stat("a", dir_fd="x"))
tried(lambda: os.stat("a", dir_fd=54321))
tried(lambda: os.lstat(3))

# %% exists, isfile, isdir
open("a", "w").close()
os.mkdir("d")
for path in ("a", "d", "missing", "a/", "d/", "d/.", "d/..", ".", "/", "", "a/b", "a\0b", b"a", pathlib.Path("d")):
    show(path, os.path.exists(path), os.path.lexists(path), os.path.isfile(path), os.path.isdir(path))
    show(os.path.islink(path))
tried(lambda: os.path.exists(None))

# %% sizes and times
open("a", "w").write("x" * 10)
show(os.path.getsize("a"), os.path.getmtime("a") <= time.time() + 1, os.path.getctime("a") > 0)
show(os.path.getatime("a") > 0)
tried(lambda: os.path.getsize("missing"))
tried(lambda: os.path.getmtime("missing"))
before = os.stat("a").st_mtime_ns
time.sleep(0.02)
open("a", "a").write("y")
show(os.stat("a").st_mtime_ns > before)

# %% samefile
open("a", "w").close()
os.mkdir("d")
show(os.path.samefile("a", "./d/../a"), os.path.samefile("a", "d"), os.path.samefile(".", "d/.."))
tried(lambda: os.path.samefile("a", "missing"))
with open("a") as f, open("a") as g:
    show(os.path.sameopenfile(f.fileno(), g.fileno()), os.path.samestat(os.stat("a"), os.fstat(f.fileno())))

# %% absolute and real paths
os.makedirs("d/e")
show(os.path.abspath("a"), os.path.realpath("d/e/../x"), os.path.abspath("."), os.path.relpath("d/e"))
show(os.path.realpath("."))
show(os.path.ismount("/"), os.path.ismount("d"), os.path.relpath("/"[:1] + "x", "/") )
tried(lambda: os.path.realpath("missing", strict=True))
show(os.path.expanduser("~/x"), os.path.expandvars("$HOME"), os.path.commonpath(["d/e", "d/f"]))

# %% mkdir
os.mkdir("d")
os.mkdir("e/")
for path in ("d", "d/", "missing/x", "", ".", "..", "/", "d/.", "missing/.", b"d", 3, None, "a\0b"):
    tried(lambda: os.mkdir(path))
open("f", "w").close()
tried(lambda: os.mkdir("f"))
tried(lambda: os.mkdir("f/"))
tried(lambda: os.mkdir("f/x"))
os.mkdir("m", 0o700)
show(oct(os.stat("m").st_mode), oct(os.stat("d").st_mode))
tree()

# %% makedirs
os.makedirs("a/b/c")
os.makedirs("a/b/c", exist_ok=True)
tried(lambda: os.makedirs("a/b/c"))
open("f", "w").close()
tried(lambda: os.makedirs("f/x"))
tried(lambda: os.makedirs("f", exist_ok=True))
os.makedirs("x/./y/../z/")
tree()

# %% rmdir and removedirs
os.makedirs("a/b/c")
tried(lambda: os.rmdir("a"))
os.rmdir("a/b/c")
open("f", "w").close()
for path in ("f", "missing", "", ".", "..", "a/.", "a/..", "f/", "f/x", "/"):
    tried(lambda: os.rmdir(path))
tree()
os.removedirs("a/b")
os.makedirs("p/q/r")
open("p/keep", "w").close()
os.removedirs("p/q/r")
tried(lambda: os.removedirs("missing"))
tree()

# %% remove and unlink
for remove in (os.remove, os.unlink):
    open("f", "w").close()
    remove("f")
    tried(lambda: remove("f"))
    os.makedirs("d", exist_ok=True)
    open("f", "w").close()
    for path in ("d", "d/", "f/", "f/x", "", ".", "..", "missing/x", None, 3):
        tried(lambda: remove(path))
tree()

# %% rename files
open("a", "w").write("A")
os.rename("a", "b")
open("c", "w").write("C")
os.rename("b", "c")
show(open("c").read())
os.rename("c", "c")
os.replace("c", "d")
tree()
for source, target in (
    ("missing", "x"), ("d", "missing/x"), ("d/", "x"), ("d", "x/"), ("d/x", "y"), ("d", ""), ("", "d"),
    (1, "x"), ("d", None), ("d", "x\0"),
):
    tried(lambda: os.rename(source, target))
    tried(lambda: os.replace(source, target))
try:
    os.rename("missing", "there")
except OSError as error:
    show(error.filename, error.filename2, error.args)

# %% rename directories
os.makedirs("a/b/c")
os.rename("a", "z")
os.mkdir("empty")
os.rename("z", "empty")
tree()
open("f", "w").close()
os.makedirs("full/x")
for source, target in (
    ("empty", "full"), ("empty", "f"), ("f", "empty"), ("empty", "empty/b/x"), ("empty", "empty"),
    ("empty/b", "empty"), ("full/.", "y"), ("full", ".."), ("/", "x"), ("full", "/"),
):
    tried(lambda: os.rename(source, target))
tree()
os.rename("full/", "moved/")
os.rename("moved", "empty/b/moved")
tree()

# %% renames
os.makedirs("a/b")
open("a/b/f", "w").close()
os.renames("a/b/f", "x/y/f")
tree()

# %% listdir
for name in ("b", "a", ".hidden"):
    open(name, "w").close()
os.mkdir("d")
show(sorted(os.listdir()), sorted(os.listdir(".")), sorted(os.listdir(b".")), os.listdir("d"))
show(sorted(os.listdir("d/..")))
for path in ("missing", "a", "", 1.5, "a/x", "d\0", 54321):
    tried(lambda: os.listdir(path))
show(sorted(os.listdir(pathlib.Path())))

# %% scandir
open("f", "w").write("123")
os.mkdir("d")
with os.scandir() as entries:
    for entry in sorted(entries, key=lambda e: e.name):
        show(entry, entry.name, entry.path, entry.is_dir(), entry.is_file(), entry.is_symlink(), os.fspath(entry))
        show(entry.stat().st_size if entry.is_file() else None, entry.inode() == os.stat(entry).st_ino)
        show(isinstance(entry, os.DirEntry))
show(list(entries), sorted(e.path for e in os.scandir(b".")), [e.path for e in os.scandir("d/..") if e.is_dir()])
show([e.path for e in os.scandir("d/../")][:0], next(iter(os.scandir("d")), None))
tried(lambda: os.scandir("missing"))
tried(lambda: os.scandir("f"))
entry = [e for e in os.scandir(".") if e.name == "f"][0]
os.remove("f")
tried(entry.stat)
show(entry.is_file())

# %% names in other alphabets
for name in ("ž", "日本", "a b", "a\nb", "☃.txt", "-x", "a'b\"c", "b\\c"):
    open(name, "w").close()
open(b"\xff", "w").close()
show(sorted(os.listdir()), sorted(os.listdir(b".")))
tried(lambda: open("é" * 128, "w"))

# %% walk
os.makedirs("a/b")
os.makedirs("c")
for path in ("a/1", "a/b/2", "c/3", "0"):
    open(path, "w").close()
def walked(**options):
    return [(top, sorted(dirs), sorted(files)) for top, dirs, files in sorted(os.walk(".", **options))]
show(walked(), walked(topdown=False), list(os.walk("missing")))
errors = []
list(os.walk("missing", onerror=errors.append))
show(errors)
for top, dirs, files in os.walk("."):
    dirs[:] = [d for d in dirs if d != "a"]
    show(top, sorted(files))
show(sorted((top, sorted(dirs), sorted(files)) for top, dirs, files, fd in os.fwalk(".")))

# %% chdir
os.mkdir("d")
start = os.getcwd()
os.chdir("d")
show(os.getcwd(), os.getcwdb(), os.path.abspath("x"), os.listdir(".."))
open("here", "w").close()
os.chdir(b"..")
show(os.path.exists("d/here"), os.getcwd() == start)
open("f", "w").close()
for path in ("missing", "f", "", "f/..", None, 1.5):
    tried(lambda: os.chdir(path))
with contextlib.chdir("d"):
    show(os.getcwd())
os.chdir(pathlib.Path("d"))
os.rename("../d", "../moved")
show(os.getcwd())
os.chdir("/")
show(os.getcwd(), os.path.isdir("tmp"), os.path.abspath("x"), os.path.isdir("..") )

# %% a removed working directory
os.mkdir("d")
open("f", "w").close()
os.chdir("d")
os.rmdir("../d")
tried(lambda: os.rename("../f", "f"))
tried(os.getcwd)
tried(lambda: open("x", "w"))
tried(lambda: os.mkdir("x"))
tried(lambda: os.listdir())
tried(lambda: os.path.exists("."))
os.chdir("..")
tree()

# %% dots and slashes
os.makedirs("a/b")
open("a/f", "w").write("x")
show(open("a/../a/./b/..//f").read(), os.path.exists("a//b///"), os.path.exists("missing/../a"))
show(os.path.exists("a/f/.."))
show(os.path.isdir("/.."), os.path.exists("//"), os.listdir("a/b/./../b"))
tried(lambda: open("missing/../a/f"))

# %% access
open("f", "w").close()
os.mkdir("d")
for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.W_OK):
    show(mode, os.access("f", os.F_OK), os.access("d", mode), os.access("missing", mode), os.access("f/x", mode))
show(os.access("f", os.X_OK))
os.chmod("f", 0o755)
show(os.access("f", os.X_OK), os.access("f", 99))
tried(lambda: os.access(3, os.R_OK))

# %% chmod
open("f", "w").close()
os.chmod("f", 0o640)
show(oct(os.stat("f").st_mode))
os.chmod("f", stat.S_IRUSR | stat.S_IXUSR)
show(stat.filemode(os.stat("f").st_mode))
tried(lambda: os.chmod("missing", 0o600))
tried(lambda: os.chmod("f", "x"))
with open("f") as f:
    os.fchmod(f.fileno(), 0o604)
    os.chmod(f.fileno(), 0o606)
show(oct(os.stat("f").st_mode))
os.mkdir("d")
os.chmod("d", 0o700)
show(oct(os.stat("d").st_mode))

# %% utime
open("f", "w").close()
os.utime("f", (1000, 2000.5))
s = os.stat("f")
show(s.st_atime, s.st_mtime, s.st_atime_ns, s.st_mtime_ns, int(s.st_mtime), s[8])
os.utime("f", ns=(1, 1_700_000_000_123_456_789))
show(os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns, os.path.getmtime("f"))
os.utime("f", (-1.5, -2))
show(os.stat("f").st_atime, os.stat("f").st_mtime_ns, os.stat("f")[7])
os.utime("f")
show(abs(os.path.getmtime("f") - time.time()) < 60)
for wrong in (lambda: os.utime("missing"), lambda: os.utime("f", 3), lambda: os.utime("f", (1, "x"))):
    try:
        wrong()
    except (OSError, TypeError) as error:
        show(type(error))

# %% descriptors
fd = os.open("a", os.O_RDWR | os.O_CREAT, 0o600)
show(os.write(fd, b"hello"), os.lseek(fd, 1, os.SEEK_SET), os.read(fd, 2), os.read(fd, 99), os.read(fd, 1))
show(oct(os.fstat(fd).st_mode))
show(os.pwrite(fd, b"J", 0), os.pread(fd, 3, 0), os.lseek(fd, 0, os.SEEK_CUR), os.isatty(fd))
os.ftruncate(fd, 2)
show(os.lseek(fd, 0, os.SEEK_END), os.fsync(fd), os.fdatasync(fd))
tried(lambda: os.lseek(fd, -1, 0))
tried(lambda: os.lseek(fd, 0, 9))
tried(lambda: os.lseek(fd, 5, 9))
tried(lambda: os.read(fd, -1))
tried(lambda: os.write(fd, "x"))
tried(lambda: os.pread(fd, 1, -1))
tried(lambda: os.ftruncate(fd, -1))
other = os.dup(fd)
os.lseek(fd, 1, 0)
show(os.read(other, 5), os.path.sameopenfile(fd, other))
os.close(fd)
for call in (lambda: os.read(fd, 1), lambda: os.fstat(fd), lambda: os.close(fd), lambda: os.lseek(fd, 0, 0)):
    tried(call)
os.lseek(other, 0, 0)
show(os.read(other, 5))
os.close(other)

# %% flags of os.open
tried(lambda: os.open("a", os.O_RDONLY))
fd = os.open("a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
tried(lambda: os.read(fd, 1))
os.write(fd, b"12345")
tried(lambda: os.open("a", os.O_CREAT | os.O_EXCL))
reader = os.open("a", os.O_RDONLY)
tried(lambda: os.write(reader, b"x"))
tried(lambda: os.ftruncate(reader, 0))
appender = os.open("a", os.O_WRONLY | os.O_APPEND)
os.lseek(appender, 0, 0)
os.write(appender, b"67")
show(os.read(reader, 99))
os.close(os.open("a", os.O_WRONLY | os.O_TRUNC))
show(os.stat("a").st_size, oct(os.stat("a").st_mode))
os.mkdir("d")
for flags in (os.O_RDWR, os.O_WRONLY, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_RDONLY | os.O_DIRECTORY):
    tried(lambda: type(os.open("d", flags)))
tried(lambda: os.open("a", os.O_DIRECTORY))
tried(lambda: os.read(os.open("d", 0), 1))
tried(lambda: os.open(3, 0))

# %% relative to a directory's descriptor
os.makedirs("d/e")
fd = os.open("d", os.O_RDONLY)
with open(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "w") as f:
    f.write("x")
os.mkdir("g", dir_fd=fd)
os.rename("g", "h", src_dir_fd=fd, dst_dir_fd=fd)
show(os.stat("f", dir_fd=fd).st_size, sorted(os.listdir(fd)), sorted(e.path for e in os.scandir(fd)))
show(os.access("f", os.R_OK, dir_fd=fd))
tried(lambda: os.stat("missing", dir_fd=fd))
os.unlink("f", dir_fd=fd)
os.rmdir("h", dir_fd=fd)
os.chdir(fd)
show(os.getcwd(), os.listdir())
os.chdir("..")
tried(lambda: os.fchdir(fd))
tried(lambda: os.stat(fd, dir_fd=fd))
with open("e/f", "w") as f:
    show(os.path.samestat(os.stat("/", dir_fd=f.fileno()), os.stat("/")))
    tried(lambda: os.stat("x", dir_fd=f.fileno()))
    try:
        os.listdir(f.fileno())
    except NotADirectoryError as error:
        show(error.strerror, error.filename == f.fileno())
show(stat.S_ISDIR(os.stat("/", dir_fd=fd).st_mode), os.stat in os.supports_dir_fd, os.scandir in os.supports_fd)
show(os.stat in os.supports_follow_symlinks)
os.close(fd)

# %% pipes are real
r, w = os.pipe()
show(os.write(w, b"through"), os.read(r, 3), os.fstat(r).st_mode & 0o170000 == stat.S_IFIFO, os.isatty(r))
show(os.get_blocking(r))
with open(w, "w") as f:
    f.write(" the pipe")
with open(r, "rb", 0) as f:
    show(f.read(), type(f).__name__, isinstance(f, io.FileIO))
for call in (lambda: os.read(r, 1), lambda: os.close(w), lambda: os.fstat(r)):
    tried(call)
r, w = os.pipe()
other = os.dup(w)
os.set_blocking(r, False)
tried(lambda: os.read(r, 1))
tried(lambda: os.lseek(r, 0, 0))
for fd in (r, w, other):
    os.close(fd)

# %% what does not concern files
show(os.fspath(pathlib.Path("x")), os.environ.get("NOPE"), len(os.urandom(4)), os.sep, os.linesep, os.name)
os.environ["X_Y"] = "1"
show(os.getenv("X_Y"), os.path.join("a", "b"), os.path.splitext("a.tar.gz"), os.path.basename("/a/b"))
show(os.cpu_count() > 0)
tried(lambda: os.get_terminal_size(54321))
show(shutil.get_terminal_size((1, 2)) != None, os.fsencode("ž"), os.fsdecode(b"\xff"))

# %% locks
with open("a", "w") as f:
    show(fcntl.flock(f, fcntl.LOCK_EX), fcntl.flock(f.fileno(), fcntl.LOCK_UN))
    show(fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB))
"""
