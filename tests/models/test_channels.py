"""Messages in channels that a server hands on as text, however they are cut."""

import time

import pytest

from tinyagent.models.channels import ChannelSplitter

CALL = '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 2}<|call|>'
#: What the model wrote, and the thoughts and the text in it.
TEXTS = [
    ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>5<|return|>", "hm", "5"),
    ("<|start|>assistant<|channel|>analysis<|message|>hm<|end|>", "hm", ""),
    ("<|channel|>final<|message|>5 < 6 <|a|> <b>", "", "5 < 6 <|a|> <b>"),
    ("<|channel|>final<|message|>5 <|ret", "", "5 <|ret"),
    ("<|channel|>analysis<|message|>hm <", "hm <", ""),
    ("<|channel|>commentary<|message|>I add.<|end|><|start|>assistant<|channel|>final<|message|>5", "", "I add.5"),
    ("<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>final<|message|>5", "hm", "5"),
    ("<|channel|>analysis<|message|>a<|end|><|channel|>analysis<|message|>b<|end|>", "ab", ""),
    (CALL, "", CALL),
    (f"<|channel|>analysis<|message|>hm<|end|><|start|>assistant{CALL}", "hm", f"<|start|>assistant{CALL}"),
    ("<|channel|>fin", "", ""),
    ("<|channel|>analysis<|message|>hm<|end|>5", "hm", "5"),
    ("<|channel|>" + "x" * 500, "", "<|channel|>" + "x" * 500),
]


def split(*parts):
    splitter = ChannelSplitter()
    pieces = [*map(splitter.split, parts), splitter.rest()]
    return "".join(thought for thought, _ in pieces), "".join(text for _, text in pieces)


@pytest.mark.parametrize(("written", "thoughts", "text"), TEXTS)
def test_thoughts_are_parted_from_text_however_it_is_cut(written, thoughts, text):
    assert split(written) == (thoughts, text)
    for size in (1, 2, 3, 5, 7):
        assert split(*(written[at : at + size] for at in range(0, len(written), size))) == (thoughts, text)


def test_text_is_handed_out_as_it_comes():
    splitter = ChannelSplitter()
    assert splitter.split("<|channel|>final<|message|>It ") == ("", "It ")
    assert splitter.split("is 5.<|") == ("", "is 5.")
    assert splitter.split("return|>") == ("", "")


@pytest.mark.parametrize(
    "unit", ["<|channel|>", "<|message|>", "<|channel|>analysis<|message|>a<|end|>", "<", "<|end|>"]
)
def test_hostile_channels_are_read_in_time_that_their_length_allows(unit):
    began = time.process_time()
    split(unit * (1_000_000 // len(unit)))
    assert time.process_time() - began < 6  # quadratic: minutes
