"""Frames: what crosses, with its length before it."""

import pytest
from hypothesis import given, strategies as st

from tinyagent.core.codec import MAX_BYTES, MalformedError, TooLargeError, pack
from tinyagent.sandbox.frames import FrameBuffer, decode_frame, encode_frame


def body_of(size):
    """A frame that takes `size` bytes with its length."""
    return {"v": "x" * (size - 4 - len('{"v":""}'))}


def test_a_frame_may_fill_a_megabyte_and_no_more():
    written = encode_frame(body_of(MAX_BYTES + 4))
    assert len(written) == 4 + 2**20
    buffer = FrameBuffer()
    buffer.add(written)
    assert decode_frame(buffer.next()) == body_of(MAX_BYTES + 4)
    with pytest.raises(TooLargeError, match=r"1,048,577 of 1,048,576 bytes"):
        encode_frame(body_of(MAX_BYTES + 5))
    buffer = FrameBuffer()
    buffer.add((MAX_BYTES + 1).to_bytes(4, "big"))
    with pytest.raises(MalformedError, match="a frame of 1,048,577 bytes"):
        buffer.next()


frames = st.lists(
    st.dictionaries(st.text("abc", max_size=3), st.text(max_size=10) | st.integers(), max_size=3), max_size=5
)


@given(frames, st.randoms(use_true_random=False))
def test_frames_are_found_in_whatever_pieces_they_come(sent, cut):
    stream = b"".join(encode_frame(pack(frame)) for frame in sent)
    places = sorted(cut.randrange(len(stream) + 1) for _ in range(cut.randrange(9)))
    buffer, found = FrameBuffer(), []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        buffer.add(stream[start:end])
        while (body := buffer.next()) is not None:
            found.append(decode_frame(body))
    assert found == sent
    assert buffer.next() is None


def test_a_frame_cut_at_any_byte_is_no_frame():
    written = encode_frame({"t": "done", "id": 3, "v": pack((1, {2}))})
    for end in range(len(written)):
        buffer = FrameBuffer()
        buffer.add(written[:end])
        assert buffer.next() is None


@given(st.binary(max_size=60))
def test_noise_is_a_frame_of_its_length_or_refused(data):
    buffer = FrameBuffer()
    buffer.add(data)
    try:
        body = buffer.next()
    except MalformedError:
        assert int.from_bytes(data[:4], "big") > MAX_BYTES
    else:
        assert body is None or len(body) == int.from_bytes(data[:4], "big")


@pytest.mark.parametrize(
    "body", [b"[]", b"1", b"null", b'"x"', b"true", b'{"!":"tuple","v":[]}', b'{"!":"record","v":{}}']
)
def test_a_frame_is_an_object(body):
    with pytest.raises(MalformedError):
        decode_frame(body)
