"""Which addresses are public, and which hosts are allowed."""

import ipaddress

import pytest

from tinyagent import ConfigurationError
from tinyagent.tools.http import is_public
from tinyagent.tools.web.addresses import literal_address
from tinyagent.tools.web.allowed import Allowed

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0
    192.0.3.0 192.31.196.1 192.52.193.1 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.48.1
    198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
    2000:: 2001:200::1 2001:4860:4860::8888 2001:db7:ffff:: 2001:db9:: 2003::1 2606:4700:4700::1111
    2620:4f:8000::1 2a00:1450:4001:81b::200e 3ffe:ffff:: 3fff:1000:: 3fff:ffff:: ::ffff:8.8.8.8 ::ffff:808:808
    2606:4700::1%eth0
"""

NOT_PUBLIC = """
    0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.1
    127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.170.2 169.254.255.255 172.16.0.0
    172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.192 192.0.0.255 192.0.2.0
    192.0.2.255 192.88.99.0 192.88.99.1 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255 224.0.0.0 224.0.0.1 239.255.255.255 240.0.0.0
    255.255.255.254 255.255.255.255
    :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:0:127.0.0.1 ::ffff:0:808:808
    ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:168.63.129.16 ::1%lo
    64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1::7f00:1 100::1 100:0:0:1::1 200::1 1fff:ffff::
    2001:: 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1 2001:10::1
    2001:20::1 2001:30::1 2001:1ff:ffff:: 2001:db8:: 2001:db8::1 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002::
    2002:7f00:1:: 2002:808:808:: 2002:ffff:ffff:: 3fff:: 3fff:fff:ffff:: 4000:: 5f00::1 fc00::1 fd00:ec2::254
    fdff:ffff:: fe80::1 fe80::1%eth0 fe80::a9fe:a9fe febf:: fec0::1 feff::1 ff00:: ff02::1 ff0e::1
    ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public(address):
    assert is_public(address) is True


@pytest.mark.parametrize("address", NOT_PUBLIC.split())
def test_not_public(address):
    assert is_public(address) is False


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4:80", "::g"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        is_public(text)


def test_what_python_says_is_private_is_never_public():
    """Its tables differ between releases; ours holds all of what any of them holds."""
    for text in (NOT_PUBLIC + PUBLIC).split():
        address = ipaddress.ip_address(text.partition("%")[0])
        if address.is_private and not getattr(address, "ipv4_mapped", None):
            assert not is_public(text), text


@pytest.mark.parametrize(
    ("host", "address"),
    {
        "127.0.0.1": "127.0.0.1",
        "2130706433": "127.0.0.1",
        "0x7f000001": "127.0.0.1",
        "0x7F.1": "127.0.0.1",
        "0177.0.0.1": "127.0.0.1",
        "017700000001": "127.0.0.1",
        "127.1": "127.0.0.1",
        "127.0.1": "127.0.0.1",
        "0": "0.0.0.0",
        "::1": "::1",
        "::ffff:127.0.0.1": "127.0.0.1",
        "fe80::1%25eth0": "fe80::1",
        "3232235777": "192.168.1.1",
    }.items(),
)
def test_hosts_that_spell_an_address(host, address):
    assert str(literal_address(host)) == address


@pytest.mark.parametrize("host", ["example.org", "localhost", "a.1.b", "", "1.2.3.4.5", "256.1.1.1", "1.2.3.4a", "x\0"])
def test_hosts_that_are_names(host):
    assert literal_address(host) is None


# ---- allow=


def allowed(*hosts):
    return Allowed(hosts)


def test_nothing_is_allowed_by_default():
    assert not allowed().name("localhost", 80)
    assert not allowed().address(ipaddress.ip_address("127.0.0.1"), 80)


@pytest.mark.parametrize(
    ("entry", "host", "port", "fits"),
    [
        ("intranet.example", "intranet.example", 80, True),
        ("Intranet.Example.", "intranet.EXAMPLE.", 443, True),
        ("intranet.example", "www.intranet.example", 80, False),
        ("intranet.example", "intranet.example.org", 80, False),
        ("localhost", "localhost", 8000, True),
        ("localhost:8000", "localhost", 8000, True),
        ("localhost:8000", "localhost", 8001, False),
        ("*.example.com", "a.example.com", 80, True),
        ("*.example.com", "a.b.example.com", 80, True),
        ("*.example.com", "example.com", 80, False),
        ("*.example.com", "badexample.com", 80, False),
        ("*.example.com:81", "a.example.com", 80, False),
        ("*.example.com:81", "a.example.com", 81, True),
        (" my_host ", "my_host", 80, True),
        ("bücher.example", "xn--bcher-kva.example", 80, True),
        ("BÜCHER.example.:81", "xn--bcher-kva.example", 81, True),
        ("*.bücher.example", "a.xn--bcher-kva.example", 80, True),
        ("straße.de", "xn--strae-oqa.de", 80, True),
        ("straße.de", "strasse.de", 80, False),
        ("10.0.0.7", "10.0.0.7", 80, False),  # an address, and no name
    ],
)
def test_names(entry, host, port, fits):
    assert allowed("other.example", entry).name(host, port) is fits


@pytest.mark.parametrize(
    ("entry", "address", "port", "fits"),
    [
        ("10.0.0.7", "10.0.0.7", 80, True),
        ("10.0.0.7", "10.0.0.8", 80, False),
        ("10.0.0.7:80", "10.0.0.7", 80, True),
        ("10.0.0.7:80", "10.0.0.7", 81, False),
        ("10.0.0.0/8", "10.255.0.1", 80, True),
        ("10.0.0.7/8", "10.255.0.1", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.0.0.0/8:8080", "10.1.1.1", 8080, True),
        ("10.0.0.0/8:8080", "10.1.1.1", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("[::1]:80", "::1", 81, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("[fd00::/8]:80", "fd12::1", 80, True),
        ("fd00::/8", "10.0.0.1", 80, False),
        ("::ffff:10.0.0.7", "10.0.0.7", 80, True),
        ("64:ff9b::/96", "64:ff9b::808:808", 80, True),
        ("localhost", "127.0.0.1", 80, False),  # a name, and no address
    ],
)
def test_networks(entry, address, port, fits):
    assert allowed("other.example", entry).address(ipaddress.ip_address(address), port) is fits


@pytest.mark.parametrize(
    "entry",
    ["", " ", "*", "*.", "http://localhost", "localhost/path", "user@localhost", "local host", "a..b", "-a",
     "localhost:", "localhost:0", "localhost:65536", "localhost:http", "127.1", "2130706433", "0x7f000001",
     "é/path", "user@é", "é?", "é b", "é%2e", "１２７.０.０.１", "10.0.0.0/33", "1.2.3.256",
     "a.*.com", "*a.com", "[::1", "::1]", "::g", "[::1]:99999", "\udcff", None, 80, b"localhost"],
)  # fmt: skip
def test_nonsense_is_a_clear_error(entry):
    with pytest.raises(ConfigurationError, match="allow="):
        allowed(entry)


@pytest.mark.parametrize("hosts", ["localhost", b"localhost", None, 5])
def test_it_wants_a_list(hosts):
    with pytest.raises(ConfigurationError, match=r"pass a list of hosts, e\.g\. 'intranet\.example'"):
        Allowed(hosts)
