"""Attempts at the network and at other sockets."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

FAMILIES = [
    "UNSPEC",
    "UNIX",
    "INET",
    "AX25",
    "IPX",
    "APPLETALK",
    "NETROM",
    "BRIDGE",
    "ATMPVC",
    "X25",
    "INET6",
    "ROSE",
    "DECNET",
    "NETBEUI",
    "SECURITY",
    "KEY",
    "NETLINK",
    "PACKET",
    "ASH",
    "ECONET",
    "ATMSVC",
    "RDS",
    "SNA",
    "IRDA",
    "PPPOX",
    "WANPIPE",
    "LLC",
    "IB",
    "MPLS",
    "CAN",
    "TIPC",
    "BLUETOOTH",
    "IUCV",
    "RXRPC",
    "ISDN",
    "PHONET",
    "IEEE802154",
    "CAIF",
    "ALG",
    "NFC",
    "VSOCK",
    "KCM",
    "QIPCRTR",
    "SMC",
    "XDP",
    "MCTP",
]

#: Ways of Python's own libraries to reach a host; each becomes an attempt of its own.
REACHING = {
    "socket.create_connection": "socket.create_connection(('127.0.0.1', TCP))",
    "socket.create_server": "socket.create_server(('127.0.0.1', 0))",
    "socket.socketpair over the network": "socket.socketpair(socket.AF_INET)",
    "_socket.socket": "__import__('_socket').socket(2, 1, 0).connect(('127.0.0.1', TCP))",
    "a class of sockets": "next(c for c in object.__subclasses__() if c.__name__ == 'socket')(2, 1, 0)",
    "urllib": "__import__('urllib.request').request.urlopen(f'http://127.0.0.1:{TCP}/')",
    "http.client": "__import__('http.client').client.HTTPConnection('127.0.0.1', TCP).request('GET', '/')",
    "http.server": "__import__('http.server').server.HTTPServer(('127.0.0.1', 0), None)",
    "ftplib": "__import__('ftplib').FTP().connect('127.0.0.1', TCP)",
    "smtplib": "__import__('smtplib').SMTP('127.0.0.1', TCP)",
    "poplib": "__import__('poplib').POP3('127.0.0.1', TCP)",
    "imaplib": "__import__('imaplib').IMAP4('127.0.0.1', TCP)",
    "xmlrpc": "__import__('xmlrpc.client').client.ServerProxy(f'http://127.0.0.1:{TCP}').hello()",
    "asyncio.open_connection": "asyncio.run(asyncio.wait_for(asyncio.open_connection('127.0.0.1', TCP), 1))",
    "asyncio over IPv6": "asyncio.run(asyncio.wait_for(asyncio.open_connection('::1', TCP6), 1))",
    "asyncio over a UNIX socket": "asyncio.run(asyncio.wait_for(asyncio.open_unix_connection(UNIX_PATH), 1))",
    "asyncio.start_server": "asyncio.run(asyncio.start_unix_server(print, PLACE + '/new'))",
    "multiprocessing's client": "__import__('multiprocessing.connection').connection.Client(UNIX_PATH)",
    "multiprocessing's listener": "__import__('multiprocessing.connection').connection.Listener(PLACE + '/new')",
    "a name server": "socket.getaddrinfo('localhost', 80)",
    "gethostbyname": "socket.gethostbyname('localhost')",
    "gethostbyaddr": "socket.gethostbyaddr('127.0.0.1')",
    "the list of interfaces": "socket.if_nameindex()",
    "an interface by number": "socket.if_indextoname(1)",
    "sethostname": "socket.sethostname(socket.gethostname())",
    "ssl": "__import__('ssl').get_server_certificate(('127.0.0.1', TCP), timeout=1)",
    "socketserver": "__import__('socketserver').TCPServer(('127.0.0.1', 0), None)",
    "a log to a socket": "__import__('logging.handlers').handlers.SysLogHandler(('127.0.0.1', UDP)).socket.getsockname()",
}

OTHERS = r"""
### connect with a system call | refused
first([lambda: sc(41, 2, 1, 0), lambda: sc(42, 3, struct.pack("HH8x4x", 2, 0), 16)])

### the number of socket with high bits set | refused
first([lambda: sc(0x1_0000_0000 | 41, 2, 1, 0), lambda: sc(-0x7FFFFFFF00000000 | 41, 2, 1, 0)])

### a family with high bits set | refused
first([lambda: sc(41, 0xF_0000_0002, 1, 0), lambda: sc(53, 0xF_0000_0002, 1, 0, (ctypes.c_int * 2)())])

### socketpairs of every family but one | refused
pair = (ctypes.c_int * 2)()
first([lambda f=f, t=t: sc(53, f, t, 0, pair) for f in range(47) for t in (1, 2, 3, 5) if (f, t) != (1, 1)])

### a datagram to an abstract address from a socketpair | refused
first([lambda t=t: socket.socketpair(socket.AF_UNIX, t)[0].sendto(b"out", "\0" + ABSTRACT) for t in (1, 2, 5)])

### a datagram to a path from a socketpair | refused
first([lambda t=t: socket.socketpair(socket.AF_UNIX, t)[0].sendto(b"out", UNIX_PATH) for t in (1, 2, 5)])

### a datagram with sendmsg from a socketpair | refused
first([lambda t=t: socket.socketpair(socket.AF_UNIX, t)[0].sendmsg([b"out"], [], 0, "\0" + ABSTRACT) for t in (1, 2, 5)])

### connect a socketpair elsewhere | refused
first([lambda t=t: socket.socketpair(socket.AF_UNIX, t)[0].connect("\0" + ABSTRACT) for t in (1, 2, 5)])

### disconnect and connect a socketpair | refused
a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
b.close()
refused(a.connect, UNIX_PATH)

### bind a socketpair | refused
first([lambda t=t: socket.socketpair(socket.AF_UNIX, t)[0].bind("\0tinyagent-hostile") for t in (1, 2, 5)])

### listen on a socketpair | refused
a, b = socket.socketpair()
refused(a.listen)

### accept on the session's socket | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
refused(own.accept)

### listen on the session's socket | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
first([lambda: own.listen(), lambda: own.bind("\0tinyagent-hostile"), lambda: own.connect(UNIX_PATH)])

### send a descriptor to the host | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
refused(socket.send_fds, own, [b"\0\0\0\2{}"], [0])

### send credentials to the host | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
refused(own.sendmsg, [b"\0\0\0\2{}"], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", 1, 0, 0))])

### receive descriptors from the host | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
refused(socket.recv_fds, own, 1, 1)

### send a descriptor over a socketpair | refused
a, b = socket.socketpair()
refused(socket.send_fds, a, [b"x"], [3])

### who is at the other end | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
first([lambda: own.getsockopt(1, 17, 12), lambda: own.getsockopt(1, 77, 4), lambda: own.getpeername(),
       lambda: own.getsockname()])

### change the session's socket | refused
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
first([lambda o=o: own.setsockopt(1, o, 1) for o in (7, 8, 16, 32, 33, 36)])

### out-of-band data to the host | ends | tampers
own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
own.send(b"!", socket.MSG_OOB)

### ask for signals of the session's socket | denied
import fcntl
first([lambda: fcntl.fcntl(3, 8, os.getpid()), lambda: fcntl.fcntl(3, 8, -os.getpid()), lambda: fcntl.fcntl(3, 10, 0),
       lambda: fcntl.fcntl(3, 15, struct.pack("ii", 1, os.getpid()))])

### asynchronous input on the session's socket | ends
import fcntl
fcntl.fcntl(3, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)

### the owner of a descriptor by ioctl | denied
import fcntl
first([lambda c=c: fcntl.ioctl(3, c, struct.pack("i", os.getpid())) for c in (0x8901, 0x8902, 0x8933, 0x8910)])

### every ioctl of sockets | == True
import fcntl
answers = set()
for command in [*range(0x8900, 0x89FF), *range(0x5400, 0x5480), 0x541B | 0x8000_0000]:
    answers.add(refused(fcntl.ioctl, 3, command, bytes(64)))
all(a in ("ENOTTY", "EPERM", "EINVAL") or a.endswith(repr(bytes(64))) for a in answers)

### inject keys into a terminal | denied
import fcntl, termios
first([lambda f=f: fcntl.ioctl(f, c, b"x") for f in (0, 1, 2) for c in (0x5412, 0x541C, 0x540E)])

### the kernel's own crypto | refused
first([lambda: sc(41, 38, 5, 0), lambda: socket.socket(38, 5, 0)])
"""

ATTEMPTS = (
    "".join(
        f"\n### a socket of family {name} | refused\n"
        f"first([lambda t=t, p=p: sc(41, {number}, t, p) for t in (1, 2, 3, 4, 5, 10, 0x80801) for p in (0, 1, 16)])\n"
        for number, name in enumerate(FAMILIES)
    )
    + "".join(
        f"\n### reach a host with {name} | denied or OSError\nrefused(lambda: {code})\n"
        for name, code in REACHING.items()
    )
    + OTHERS
)
