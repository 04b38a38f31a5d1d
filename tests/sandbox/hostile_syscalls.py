"""Attempts at system calls, by their number on x86_64."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: `P` is PLACE, `F` SECRET_FILE, `V` VICTIM_FILE, `N` a new name and `X` one that cannot be, as bytes, `Z` zeros.
CALLS = """
open 2 F 0
creat 85 N 0o600
openat 257 -100 F 0
openat for writing 257 -100 N 0o102 0o600
openat2 437 -100 F Z 24
stat 4 F Z
lstat 6 F Z
newfstatat 262 -100 F Z 0
newfstatat of a file below a descriptor 262 3 b'..' Z 0
statx 332 -100 F 0 0xFFF Z
access 21 F 4
faccessat 269 -100 F 4
faccessat2 439 -100 F 4 0
readlink 89 b'/proc/self/exe' Z 99
readlinkat 267 -100 b'/proc/self/exe' Z 99
getdents64 217 0 Z 256
truncate 76 V 0
chdir 80 P
fchdir 81 0
rename 82 V N
renameat 264 -100 V -100 N
renameat2 316 -100 V -100 N 0
mkdir 83 N 0o700
mkdirat 258 -100 N 0o700
rmdir 84 P
link 86 F N
linkat 265 -100 F -100 N 0
symlink 88 F N
symlinkat 266 F -100 N
unlink 87 V
unlinkat 263 -100 V 0
chmod 90 V 0
fchmod 91 0 0o777
fchmodat 268 -100 V 0
chown 92 V 0 0
fchown 93 0 0 0
lchown 94 V 0 0
fchownat 260 -100 V 0 0 0
mknod 133 N 0o100600 0
mknodat 259 -100 N 0o10600 0
utime 132 V 0
utimes 235 V 0
utimensat 280 -100 V 0 0
statfs 137 b'/' Z
fstatfs 138 0 Z
ustat 136 1 Z
setxattr 188 V b'user.x' b'x' 1 0
fsetxattr 190 0 b'user.x' b'x' 1 0
getxattr 191 V b'user.x' Z 9
listxattr 194 V Z 9
removexattr 197 V b'user.x'
fallocate 285 0 0 0 1
flock 73 0 2
sync_file_range 277 0 0 0 0
mount 165 b'none' X b'tmpfs' 0 0
mount by bind 165 b'/etc' X 0 0x1000 0
umount2 166 P 0
pivot_root 155 P P
chroot 161 b'/'
swapon 167 X 0
swapoff 168 X
quotactl 179 0x800002 0 0 Z
quotactl_fd 443 3 0 0 Z
acct 163 X
name_to_handle_at 303 -100 F Z Z 0
open_by_handle_at 304 3 Z 0
inotify_init 253
inotify_init1 294 0
inotify_add_watch 254 3 P 0xFFF
fanotify_init 300 0 0
fanotify_mark 301 3 1 0xFFF -100 P
open_tree 428 -100 P 0
move_mount 429 -100 P -100 P 0
fsopen 430 b'tmpfs' 0
fsconfig 431 3 0 0 0 0
fsmount 432 3 0 0
fspick 433 -100 P 0
mount_setattr 442 -100 P 0 Z 32
memfd_create 319 b'x' 0
memfd_create executable 319 b'x' 0x10
memfd_secret 447 0
sendfile 40 3 0 0 9
splice 275 0 0 3 0 9 0
tee 276 0 3 9 0
vmsplice 278 1 Z 1 0
copy_file_range 326 0 0 1 0 9 0
io_setup 206 8 Z
io_submit 209 0 1 Z
io_getevents 208 0 0 1 Z 0
io_uring_setup 425 8 Z
io_uring_setup with a polling thread 425 8 ring
io_uring_enter 426 3 1 1 1 0 0
io_uring_register 427 3 0 0 0
userfaultfd 323 0
userfaultfd for itself 323 1
perf_event_open 298 Z 0 -1 -1 0
perf_event_open of the host 298 Z HOST_PID -1 -1 0
bpf 321 5 Z 128
bpf map 321 0 Z 128
seccomp asks 317 2 0 Z
seccomp strict 317 0 0 0
seccomp sizes 317 3 0 Z
arch_prctl 158 0x1003 Z
arch_prctl shadow stack 158 0x5001 1
modify_ldt 154 0 Z 16
personality 135 0xFFFFFFFF
personality without random addresses 135 0x0040000
iopl 172 3
ioperm 173 0x80 1 1
kexec_load 246 0 0 0 0
kexec_file_load 320 3 3 0 0 0
init_module 175 Z 64 b''
finit_module 313 3 b'' 0
delete_module 176 b'tinyagent_hostile' 0o4000
reboot 169 0 0 0 0
sethostname 170 b'x' -1
setdomainname 171 b'x' -1
settimeofday 164 0 0
clock_settime 227 99 Z
adjtimex 159 Z
clock_adjtime 305 0 Z
syslog 103 10 0 0
vhangup 153
uselib 134 X
sysfs 139 3
lookup_dcookie 212 0 Z 9
add_key 248 b'user' b'tinyagent-hostile' b'x' 1 -2
request_key 249 b'user' b'tinyagent-hostile' 0 -2
keyctl joins a session 250 1 b'tinyagent-hostile'
keyctl of the user 250 0 -4 0
keyctl of the process 250 0 -2 1
process_madvise 440 3 Z 1 20 0
process_mrelease 448 3 0
shmget 29 SHM_KEY 64 0
shmget new 29 0 64 0o1600
shmat 30 SHM_ID 0 0
shmctl removes 31 SHM_ID 0 0
semget 64 0 1 0o1600
semop 65 SEM_ID Z 1
semctl removes 66 SEM_ID 0 0 0
semtimedop 220 SEM_ID Z 1 0
msgget 68 MSG_KEY 0
msgget new 68 0 0o1600
msgrcv 70 MSG_ID Z 99 0 0o4000
msgsnd 69 MSG_ID Z 9 0o4000
msgctl removes 71 MSG_ID 0 0
mq_open 240 b'tinyagent-hostile' 0o102 0o600 0
mq_unlink 241 b'tinyagent-hostile'
mq_timedsend 242 3 b'x' 1 0 0
landlock_create_ruleset 444 Z 8 0
landlock_restrict_self 446 3 0
migrate_pages 256 0 1 Z Z
migrate_pages of the host 256 HOST_PID 1 Z Z
move_pages of the host 279 HOST_PID 0 Z Z Z 0
mbind 237 0 0 0 0 0 0
remap_file_pages 216 0 0 0 0 0
mlock 149 4096 4096
mlockall 151 3
mincore 27 0 4096 Z
pkey_alloc 330 0 0
ioprio_set 251 1 HOST_PID 0
sched_setparam 142 HOST_PID Z
sched_setattr 314 0 sched 0
get_thread_area 211 Z
signalfd4 289 -1 Z 8 0
fork 57
vfork 58
execve 59 b'/bin/true' 0 0
execveat 322 -100 b'/bin/true' 0 0 0
connect 42 3 Z 16
accept 43 3 0 0
accept4 288 3 0 0 0
bind 49 3 Z 2
listen 50 3 1
sendmsg 46 3 Z 0
recvmsg 47 3 Z 0x40
sendmmsg 307 3 Z 1 0
recvmmsg 299 3 Z 1 0x40 0
getsockopt 55 3 1 17 Z Z
setsockopt 54 3 1 8 Z 4
getsockname 51 3 Z Z
getpeername 52 3 Z Z
map_shadow_stack 453 0 4096 0
fchmodat2 452 -100 V 0 0
cachestat 451 0 Z Z 0
futex_wake 454 0 1 1 0
statmount 457 Z Z 64 0
listmount 458 Z Z 8 0
lsm_set_self_attr 460 100 Z 32 0
mseal 462 4096 4096 0
setxattrat 463 -100 V 0 b'user.x' Z 24
open_tree_attr 467 -100 P 0 Z 32
"""

SETUP = r"""P, F, V = (text.encode() for text in (PLACE, SECRET_FILE, VICTIM_FILE))
N, X, Z = P + b"/new", F + b"/none", ctypes.create_string_buffer(4096)
ring = struct.pack("II4x8x", 0, 2) + bytes(100)
sched = struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 1_000_000, 2_000_000, 2_000_000)
"""

OTHERS = r"""
### every number that no kernel had when the filter was made | refused
first([lambda n=n: sc(n) for n in [*range(451, 1200), 4095, 65535, 1 << 20, 0x3FFFFFFF]])

### mmap of a descriptor that may run | ends
at = libc.mmap(None, ctypes.c_size_t(4096), 5, 2, 0, ctypes.c_long(0))

### memory at address zero | == -1
libc.mmap(None, ctypes.c_size_t(4096), 7, 0x32, -1, ctypes.c_long(0))

### write onto code that runs | ends | tampers
at = ctypes.cast(libc.syscall, ctypes.c_void_p).value & ~4095
libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 7)
refused(sc, 41, 2, 1, 0)

### map over the stack | killed or stopped
local = ctypes.c_long(0)
libc.mmap(ctypes.c_void_p((ctypes.addressof(local) & ~4095) - 65536), ctypes.c_size_t(1 << 20), 0, 0x32, -1, ctypes.c_long(0))
sorted(range(100))
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
top = ctypes.c_void_p.in_dll(libc, "program_invocation_name").value
libc.munmap((top & ~0xFFFFF) - (1 << 22), 1 << 24)

### unmap the C library | killed
at = ctypes.cast(libc.syscall, ctypes.c_void_p).value & ~0xFFFFF
libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(1 << 22))

### unmap everything | killed
libc.munmap(ctypes.c_void_p(0), ctypes.c_size_t((1 << 47) - 4096))

### huge pages | ends
libc.mmap(None, ctypes.c_size_t(1 << 30), 3, 0x40022, -1, ctypes.c_long(0))

### memory that is locked | ends
at = libc.mmap(None, ctypes.c_size_t(1 << 26), 3, 0x2022, -1, ctypes.c_long(0))

### memory shared with nobody | ends
at = libc.mmap(None, ctypes.c_size_t(1 << 26), 3, 0x21, -1, ctypes.c_long(0))

### advice that reaches pages of the zygote | ends
at = ctypes.cast(libc.syscall, ctypes.c_void_p).value & ~4095
[libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(4096), n) for n in (4, 9, 12, 14, 16, 20, 21, 100, 101)]
"""


def one(line: str) -> str:
    """The attempt of a line of the table: a name of words, a number, arguments."""
    words = line.split()
    at = next(i for i, word in enumerate(words) if word.isdigit() and i > 0)
    call = ", ".join(words[at:])
    child = " or os._exit(0)" if words[0] in ("fork", "vfork") else ""
    return f"\n### system call {' '.join(words[:at])} | refused\n{SETUP}refused(lambda: sc({call}){child})\n"


ATTEMPTS = "".join(one(line) for line in CALLS.strip().splitlines()) + OTHERS
