"""Frames that are forged, malformed, or too many, written past the runtime onto the session's socket."""

# Lines are as long as what they try.
# ruff: noqa: E501

from __future__ import annotations

#: Bytes that are no frame, or no message. Each is written while a block runs.
MALFORMED = {
    "nothing": "body(b'')",
    "a length of 2**31": "struct.pack('>I', 2**31) + b'{}'",
    "a length of 2**32 - 1": "b'\\xff' * 64",
    "a length of 2**20": "struct.pack('>I', 2**20) + b'{}'",
    "a length of 2**20 - 3": "struct.pack('>I', 2**20 - 3) + b'{}'",
    "a length in the other order": "struct.pack('<I', 2) + b'{}'",
    "text without a length": 'b\'{"t":"out","s":"x"}\' * 99',
    "noise": "os.urandom(1 << 16)",
    "zeros": "bytes(1 << 16)",
    "not JSON": "body(b'<html>')",
    "half a JSON": 'body(b\'{"t":"out"\')',
    "JSON with something after it": 'body(b\'{"t":"out","s":"x"} {}\')',
    "invalid UTF-8": 'body(b\'{"t":"out","s":"\\xff\\xfe"}\')',
    "UTF-16": 'body(\'{"t":"out","s":"x"}\'.encode(\'utf-16\'))',
    "a byte order mark": 'body(\'\\ufeff{"t":"out","s":"x"}\'.encode())',
    "a list": "body(b'[]')",
    "a number": "body(b'1')",
    "null": "body(b'null')",
    "a string": "body(b'\"ready\"')",
    "true": "body(b'true')",
    "NaN": "body(b'NaN')",
    "NaN in a field": 'body(b\'{"t":"out","s":NaN}\')',
    "Infinity in a value": 'body(b\'{"t":"done","id":%d,"v":-Infinity,"repr":null,"names":[],"ended":false,"e":null}\' % current())',
    "a number of a million digits": "body(b'{\"t\":\"out\",\"s\":' + b'9' * 1_000_000 + b'}')",
    "a float of a million digits": "body(b'{\"t\":\"out\",\"s\":0.' + b'9' * 1_000_000 + b'}')",
    "a float beyond all": 'body(b\'{"t":"out","s":1e999999}\')',
    "an id of a million digits": "body(b'{\"t\":\"done\",\"id\":' + b'1' * 1_000_000 + b'}')",
    "deep lists": "body(b'[' * 500_000 + b']' * 500_000)",
    "deep lists in a value": "body(b'{\"t\":\"done\",\"v\":' + b'[' * 90_000 + b']' * 90_000 + b'}')",
    "deep objects": "body(b'{\"a\":' * 90_000 + b'1' + b'}' * 90_000)",
    "deep objects, never closed": "body(b'{\"a\":' * 90_000)",
    "deep tags": 'body(b\'{"t":"out","s":\' + b\'{"!":"tuple","v":[\' * 20_000 + b\']}\' * 20_000 + b\'}\')',
    "a megabyte of lists": "body(b'{\"t\":\"out\",\"s\":[' + b'[],' * 340_000 + b'[]]}')",
    "a megabyte of objects": "body(b'{\"t\":\"out\",\"s\":[' + b'{},' * 340_000 + b'{}]}')",
    "a megabyte of numbers": "body(b'{\"t\":\"out\",\"s\":[' + b'1,' * 500_000 + b'1]}')",
    "a megabyte of floats": "body(b'{\"t\":\"out\",\"s\":[' + b'.1e9,'.replace(b'.', b'0.') * 170_000 + b'1]}')",
    "a megabyte of strings": 'body(b\'{"t":"out","s":[\' + b\'"",\' * 340_000 + b\'1]}\')',
    "a megabyte of keys": "body(json.dumps({'t': 'out', 's': {str(i): 1 for i in range(80_000)}}).encode())",
    "a megabyte of one key": 'body(b\'{"t":"out",\' + b\'"s":"",\' * 140_000 + b\'"s":1}\')',
    "a megabyte of escapes": 'body(b\'{"t":"x","s":"\' + b\'\\\\u0041\' * 170_000 + b\'"}\')',
    "a megabyte of tuples": 'body(b\'{"t":"out","s":[\' + b\'{"!":"tuple","v":[]},\' * 45_000 + b\'1]}\')',
    "an open text of escaped quotes": "body(b'[' * 50_001 + b'\"' + b'\\\\\"' * 470_000)",
    "an open text of backslashes": "body(b'[' * 50_001 + b'\"' + b'\\\\' * 940_000)",
    "texts and brackets": 'body(b\'["\\\\""\' * 150_000)',
    "a megabyte of spaces": "body(b' ' * 1_000_000)",
    "a megabyte of text as a type": "{'t': 'x' * 1_000_000}",
    "no type": "{}",
    "a type that is none": "{'t': None}",
    "a type that is a list": "{'t': []}",
    "a type that is an object": "{'t': {'!': 'set', 'v': []}}",
    "an unknown type": "{'t': 'root'}",
    "a type of the host": "{'t': 'exec', 'id': 1, 'code': 'print(1)', 'file': 'x', 'line': 1, 'last': True}",
    "an answer of the host": "{'t': 'ret', 'id': 1, 'v': 'x', 'end': False}",
    "tools of the host": "{'t': 'tools', 'tools': []}",
    "a second ready": "{'t': 'ready'}",
    "a second ready with lies": "{'t': 'ready', 'landlock': 99, 'uid': 0, 'thread_limit': True}",
    "an answer to another question": "done(id=current() + 1)",
    "an answer to an earlier question": "done(id=current() - 1)",
    "an answer to question zero": "done(id=0)",
    "an answer to question minus one": "done(id=-1)",
    "an id that is true": "done(id=True)",
    "an id that is a float": "done(id=float(current()))",
    "an id that is a string": "done(id=str(current()))",
    "an id that is a list": "done(id=[current()])",
    "an id that is none": "done(id=None)",
    "an id that is an object": "done(id={})",
    "an answer without an id": "{'t': 'done'}",
    "output that is a number": "{'t': 'out', 's': 1}",
    "output that is none": "{'t': 'out', 's': None}",
    "output that is bytes": "{'t': 'out', 's': {'!': 'bytes', 'v': 'AAAA'}}",
    "output that is missing": "{'t': 'out'}",
    "a call without a name": "{'t': 'call', 'id': 7, 'a': [], 'k': {}}",
    "a call without arguments": "{'t': 'call', 'id': 7, 'n': 'echo'}",
    "a call without an id": "{'t': 'call', 'n': 'echo', 'a': [], 'k': {}}",
    "a call whose name is a list": "{'t': 'call', 'id': 7, 'n': ['echo'], 'a': [], 'k': {}}",
    "a call whose name is none": "{'t': 'call', 'id': 7, 'n': None, 'a': [], 'k': {}}",
    "a call whose name is an object": "{'t': 'call', 'id': 7, 'n': {'!': 'text', 'v': 'echo', 'type': 'str'}, 'a': [], 'k': {}}",
    "a call whose id is a string": "{'t': 'call', 'id': '7', 'n': 'echo', 'a': [], 'k': {}}",
    "a call whose id is true": "{'t': 'call', 'id': True, 'n': 'echo', 'a': [], 'k': {}}",
    "a call whose id is a set": "{'t': 'call', 'id': {'!': 'set', 'v': []}, 'n': 'echo', 'a': [], 'k': {}}",
    "a call whose arguments are a string": "{'t': 'call', 'id': 7, 'n': 'echo', 'a': 'x', 'k': {}}",
    "a call whose arguments are an object": "{'t': 'call', 'id': 7, 'n': 'echo', 'a': {}, 'k': {}}",
    "a call whose arguments are a tuple": "{'t': 'call', 'id': 7, 'n': 'echo', 'a': {'!': 'tuple', 'v': []}, 'k': {}}",
    "a call whose keywords are a list": "{'t': 'call', 'id': 7, 'n': 'echo', 'a': [], 'k': []}",
    "a cancel without an id": "{'t': 'cancel'}",
    "a cancel whose id is a list": "{'t': 'cancel', 'id': []}",
    "a fatal error without text": "{'t': 'fatal'}",
    "a fatal error of a list": "{'t': 'fatal', 'e': []}",
    "a fatal error": "{'t': 'fatal', 'e': 'x' * 900_000}",
}

#: Messages with fields of which the host has to make something, or nothing.
ODD = {
    "a repr that is a number": "done(repr=1)",
    "a repr that is a list": "done(repr=['x'])",
    "names that are numbers": "done(names=[1])",
    "names that are a string": "done(names='abc')",
    "names that are an object": "done(names={})",
    "names of sets": "done(names=[{'!': 'set', 'v': []}])",
    "an end that is a number": "done(ended=1)",
    "an end that is a string": "done(ended='yes')",
    "an error that is a string": "done(e='x')",
    "an error that is a list": "done(e=[])",
    "an error without fields": "done(e={})",
    "an error of numbers": "done(e={'type': 1, 'bases': 2, 'args': 3, 'message': 4, 'traceback': 5, 'line': 6})",
    "an error of the wrong bases": "done(e={'type': 'E', 'bases': [1], 'args': [], 'message': '', 'traceback': '', 'line': 1})",
    "an error with a line of text": "done(e={'type': 'E', 'bases': [], 'args': [], 'message': '', 'traceback': '', 'line': 'x'})",
    "an error with a line that is true": "done(e={'type': 'E', 'bases': [], 'args': [], 'message': '', 'traceback': '', 'line': True})",
    "an error with a traceback of lists": "done(e={'type': 'E', 'bases': [], 'args': [], 'message': '', 'traceback': [], 'line': 1})",
    "a call whose keywords are a dict of numbers": "{'t': 'call', 'id': 7, 'n': 'echo', 'a': [], 'k': {'!': 'dict', 'v': [[1, 2]]}}",
}

#: Tagged values, as a block's value, that no host should build.
VALUES = {
    "an unknown tag": "{'!': 'os.system', 'v': 'true'}",
    "a tag that is a number": "{'!': 1, 'v': 1}",
    "a tag that is a list": "{'!': [], 'v': []}",
    "a tag that is an object": "{'!': {}, 'v': []}",
    "a tag without a value": "{'!': 'tuple'}",
    "a tag of a value too much": "{'!': 'tuple', 'v': 1}",
    "an int of 900,000 digits": "{'!': 'int', 'v': '0x' + 'f' * 900_000}",
    "an int of decimal digits": "{'!': 'int', 'v': '9' * 900_000}",
    "an int of nonsense": "{'!': 'int', 'v': 'zz'}",
    "an int that is a list": "{'!': 'int', 'v': []}",
    "a float of nonsense": "{'!': 'float', 'v': 'x'}",
    "a float of many digits": "{'!': 'float', 'v': '1' * 900_000}",
    "a complex of one half": "{'!': 'complex', 'v': ['1']}",
    "a complex of lists": "{'!': 'complex', 'v': [[], []]}",
    "bytes of nonsense": "{'!': 'bytes', 'v': '***'}",
    "bytes of bad padding": "{'!': 'bytes', 'v': 'A'}",
    "bytes of no ASCII": "{'!': 'bytes', 'v': '\\u20ac'}",
    "a range of step zero": "{'!': 'range', 'v': ['0x0', '0x1', '0x0']}",
    "a range of one": "{'!': 'range', 'v': ['0x0']}",
    "a range of long numbers": "{'!': 'range', 'v': ['0x0', '0x' + 'f' * 1000, '0x1']}",
    "a date out of range": "{'!': 'date', 'v': '9999-13-45'}",
    "a date of nonsense": "{'!': 'date', 'v': 'x' * 100_000}",
    "a datetime out of range": "{'!': 'datetime', 'v': '0000-01-01T00:00:00', 'fold': 0}",
    "a datetime of a zone out of range": "{'!': 'datetime', 'v': '2020-01-01T00:00:00+99:99', 'fold': 0}",
    "a datetime of fold two": "{'!': 'datetime', 'v': '2020-01-01T00:00:00', 'fold': 2}",
    "a datetime of fold list": "{'!': 'datetime', 'v': '2020-01-01T00:00:00', 'fold': []}",
    "a time out of range": "{'!': 'time', 'v': '25:61:61', 'fold': 0}",
    "a timedelta out of range": "{'!': 'timedelta', 'v': [10**12, 0, 0]}",
    "a timedelta of a huge number": "{'!': 'timedelta', 'v': [10**300, 0, 0]}",
    "a timedelta of floats": "{'!': 'timedelta', 'v': [1.5, 0, 0]}",
    "a timedelta of many": "{'!': 'timedelta', 'v': [1] * 99}",
    "a decimal of nonsense": "{'!': 'Decimal', 'v': 'one'}",
    "a decimal of many digits": "{'!': 'Decimal', 'v': '9' * 900_000}",
    "a fraction by zero": "{'!': 'Fraction', 'v': ['0x1', '0x0']}",
    "a fraction of long numbers": "{'!': 'Fraction', 'v': ['0x' + 'f' * 400_000, '0x' + 'e' * 400_000]}",
    "a fraction of one": "{'!': 'Fraction', 'v': ['0x1']}",
    "a UUID of nonsense": "{'!': 'UUID', 'v': 'x'}",
    "a UUID of much": "{'!': 'UUID', 'v': 'f' * 900_000}",
    "a set of lists": "{'!': 'set', 'v': [[1]]}",
    "a frozenset of dicts": "{'!': 'frozenset', 'v': [{}]}",
    "a dict of list keys": "{'!': 'dict', 'v': [[[1], 2]]}",
    "a dict of triples": "{'!': 'dict', 'v': [[1, 2, 3]]}",
    "a dict of numbers": "{'!': 'dict', 'v': [1, 2]}",
    "a dict of strings": "{'!': 'dict', 'v': ['ab', 'cd', {}]}",
    "a dict that is an object": "{'!': 'dict', 'v': {}}",
    "a record that is a list": "{'!': 'record', 'v': []}",
    "a record": "{'!': 'record', 'v': {'city': 'Oslo'}}",
    "a record of dunders": "{'!': 'record', 'v': {'__class__': 1, '__dict__': 2}}",
    "a record that numpy reads": "{'!': 'record', 'v': {'__array_interface__': {'version': 3, 'shape': {'!': 'tuple', 'v': [25]}, 'typestr': '|u1', 'data': {'!': 'tuple', 'v': [8, False]}}}}",
    "a record in a record's place": "[1, {'a': {'!': 'record', 'v': {'__deepcopy__': 1}}}]",
    "a signalling NaN": "{'!': 'Decimal', 'v': 'sNaN'}",
    "an int with an underscore": "{'!': 'int', 'v': '0x_1_0'}",
    "an int of other digits": "{'!': 'int', 'v': '0x\\u0665'}",
    "a float with an underscore": "{'!': 'float', 'v': '1_0'}",
    "an int that cannot be printed": "{'!': 'int', 'v': '0x' + 'f' * 4_000}",
    "lists that cannot be printed": "functools.reduce(lambda v, _: [v], range(700), 1)",
    "a text without a type": "{'!': 'text', 'v': 'x'}",
    "a text of a list": "{'!': 'text', 'v': [], 'type': 'x'}",
    "a text of a type that is a list": "{'!': 'text', 'v': 'x', 'type': []}",
    "a set of colliding numbers": "{'!': 'set', 'v': [i * (2**61 - 1) for i in range(30_000)]}",
    "a frozenset of colliding numbers": "{'!': 'frozenset', 'v': [i * (2**61 - 1) for i in range(30_000)]}",
    "many sets of colliding numbers": "[{'!': 'set', 'v': [i * (2**61 - 1) for i in range(3_000)]}] * 12",
    "a dict of colliding numbers": "{'!': 'dict', 'v': [[i * (2**61 - 1), 0] for i in range(25_000)]}",
    "a set of colliding ints by tag": "{'!': 'set', 'v': [{'!': 'int', 'v': hex(i * (2**61 - 1))} for i in range(20_000)]}",
    "a set of colliding tuples": "{'!': 'set', 'v': [{'!': 'tuple', 'v': [i * (2**61 - 1)]} for i in range(15_000)]}",
    "a set of colliding fractions": "{'!': 'set', 'v': [{'!': 'Fraction', 'v': [hex(i * (2**61 - 1)), '0x1']} for i in range(10_000)]}",
    "a set of colliding decimals": "{'!': 'set', 'v': [{'!': 'Decimal', 'v': str(i * (2**61 - 1))} for i in range(10_000)]}",
}

#: Values that cost the host something, within limits.
COSTLY = {
    "nested sets": "functools.reduce(lambda v, _: {'!': 'frozenset', 'v': [v]}, range(150), 1)",
    "a set of costly decimals": "{'!': 'set', 'v': [{'!': 'Decimal', 'v': f'1e{999999999999999999 - i}'} for i in range(10_000)]}",
    "fractions that take long": "[{'!': 'Fraction', 'v': ['0x' + 'f' * 990 + hex(i)[2:], '0x' + 'e' * 990 + hex(i)[2:]]} for i in range(400)]",
    "decimals that are long": "[{'!': 'Decimal', 'v': '9' * 4990}] * 190",
    "ints that are long": "[{'!': 'int', 'v': '0x' + 'f' * 19_990}] * 50",
    "tuples as keys, nested": "{'!': 'set', 'v': [functools.reduce(lambda v, _: {'!': 'tuple', 'v': [v, v]}, range(14), i) for i in range(2)]}",
}

#: Values that are fine, though made to be trouble for a host that does more than keep them.
HARMLESS = {
    "a decimal of a large exponent": ("{'!': 'Decimal', 'v': '1E+4999'}", "Decimal('1E+4999')"),
    "a range of everything": (
        "{'!': 'range', 'v': ['0x0', '0xfffffffffffffff', '0xffffffffffff']}",
        "range(0, 1152921504606846975, 281474976710655)",
    ),
    "a path of everything": ("{'!': 'Path', 'v': '/../../' + 'x' * 9}", "PurePosixPath('/../../xxxxxxxxx')"),
    "a path with zeros": ("{'!': 'Path', 'v': 'a\\0b'}", "PurePosixPath('a\\x00b')"),
    "lone surrogates": ("'\\ud800'", "'\\ud800'"),
    "a text that claims a type": ("{'!': 'text', 'v': 'x', 'type': 'os._Environ'}", "'x'"),
    "not a number": ("{'!': 'float', 'v': 'nan'}", "nan"),
    "a forged answer": ("'forged'", "'forged'"),
}

#: Values of which a frame can hold many, `%d` a number that differs. As many as fit are sent, in a set and to a tool.
MANY = {
    "decimals of huge exponents": '{"!":"Decimal","v":"1e-%d999999999999"}',
    "decimals": '{"!":"Decimal","v":"%d.5"}',
    "fractions": '{"!":"Fraction","v":["%d","3"]}',
    "timedeltas": '{"!":"timedelta","v":[%d,1,1]}',
    "times": '{"!":"time","v":"00:00:00.%06d","fold":1}',
    "datetimes": '{"!":"datetime","v":"2020-01-01T00:00:00.%06d+01:00","fold":1}',
    "UUIDs": '{"!":"UUID","v":"%032d"}',
    "paths": '{"!":"Path","v":"%d"}',
    "paths of many parts": '{"!":"Path","v":"' + "a/" * 200 + '%d"}',
    "complex numbers": '{"!":"complex","v":["%d","1"]}',
    "ranges": '{"!":"range","v":["%d","9","1"]}',
    "bytes": '{"!":"bytes","v":"%08d"}',
    "tuples": '{"!":"tuple","v":[%d]}',
    "tuples in tuples": '{"!":"tuple","v":[' * 40 + "%d" + "]}" * 40,
    "frozensets": '{"!":"frozenset","v":[%d]}',
    "records": '{"!":"record","v":{"a":%d}}',
    "texts of a type": '{"!":"text","v":"","type":"T%d"}',
    "long whole numbers": '{"!":"int","v":"0x' + "f" * 19_000 + '%d"}',
    "floats": "%d.5e-300",
    "whole numbers": "%d",
    "strings": '"%d"',
    "objects": '{"a":%d}',
}


def written(entries: dict[str, str], expect: str = "killed") -> str:
    """Attempts that write one thing and wait for what comes of it."""
    return "".join(
        f"\n### frame: {name} | {expect} | tampers {'seconds=5' if expect == 'killed' else ''}\nimport functools\nforge({code})\ntime.sleep(60)\n"
        for name, code in entries.items()
    )


def many(name: str, one: str) -> str:
    """Attempts with as many values as a frame can hold."""
    return f"""
### a frame full of {name} | ends | tampers
parts = fill({one!r})
forge(body(b'{{"t":"done","id":%d,"v":{{"!":"set","v":[%s]}}}}' % (current(), parts)))
time.sleep(60)

### a frame full of {name} for a tool | ends | tampers
parts = fill({one!r})
forge(body(b'{{"t":"call","n":"echo","a":[[%s]],"k":{{}},"id":900}}' % parts))
time.sleep(0.25)
"""


ATTEMPTS = (
    written(MALFORMED)
    + written(ODD, "ends")
    + written({f"a value of {name}": f"done(v={code})" for name, code in VALUES.items()})
    + written({f"a costly value of {name}": f"done(v={code})" for name, code in COSTLY.items()}, "ends")
    + "".join(
        f"\n### frame: a harmless value of {name} | repr {answer} | tampers\nforge(done(v={code}))\ntime.sleep(60)\n"
        for name, (code, answer) in HARMLESS.items()
    )
    + "".join(many(name, one) for name, one in MANY.items())
)
