"""Thoughts that a model writes into its text, however it is cut."""

import itertools
import time

import pytest

from tinyagent.models.thoughts import ChannelSplitter, ThinkSplitter, orphaned_end

#: Text, and the reasoning and the answer in it.
TEXTS = [
    ("<think>hm</think>5", "hm", "5"),
    ("<think>\nhm\n</think>\n\n5 and 6", "hm\n", "5 and 6"),
    (" \n<think>hm</think> 5", "hm", "5"),
    ("<think></think>5", "", "5"),
    ("<think>\n\n</think>\n\n5", "", "5"),
    ("<think>hm</think>", "hm", ""),
    ("<think>hm</think> \n", "hm", ""),
    ("<think>hm", "hm", ""),
    ("<think>hm</thi", "hm</thi", ""),
    ("<think>a < b </ c <think> </thin>k</think>5", "a < b </ c <think> </thin>k", "5"),
    ("<think>hm</think>the tag </think> ends it", "hm", "the tag </think> ends it"),
    ("<think>hm</think> </think>5", "hm", "</think>5"),
    ("<think>hm</think>5 <think>not again</think>", "hm", "5 <think>not again</think>"),
    ("The tag <think> opens it </think>", "", "The tag <think> opens it </think>"),
    ("<thin>5", "", "<thin>5"),
    ("<thi", "", "<thi"),
    ("  ", "", "  "),
    ("", "", ""),
    ("5 < 6", "", "5 < 6"),
    ("[THINK]hm[/THINK]\n5", "hm", "5"),
    ("[THINK]hm[/THI", "hm[/THI", ""),
    ("[T]5", "", "[T]5"),
    ("<thinking>\nhm </think></thinking>5", "hm </think>", "5"),
    ("<reasoning>hm</reasoning>5", "hm", "5"),
    ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>5", "hm", "5"),
]

#: Text with the end of a block that it does not open, and what stands before it.
ORPHANED = [
    ("hm</think>5", "hm"),
    ("hm\n</think>\n\n5", "hm\n"),
    ("The tag `</think>` ends it.</think>5", "The tag `</think>` ends it."),
    ("```\nx\n```</think>```python\ny\n```", "```\nx\n```"),
    ("<think>a</think>b</think>5", "<think>a</think>b"),
    ("a </think> b </think> 5", "a </think> b "),
    ("so it is. </think> 5", "so it is. "),
    ("```\nx\n```\nor so </think> then", "```\nx\n```\nor so "),
    ("say('hm</think>5", "say('hm"),
]
#: Text without one.
CLOSED = [
    "",
    "5",
    "<think>hm</think>5",
    "a <think> b </think> 5",
    "`</think>`",
    "''</think>''",
    "<think>",
    'x("</think>")',
    "Write </think> at its end.",
    "It ends with </think>.",
]


def split(*parts):
    splitter = ThinkSplitter()
    pieces = [*map(splitter.split, parts), splitter.rest()]
    return "".join(reasoning for reasoning, _ in pieces), "".join(answer for _, answer in pieces)


@pytest.mark.parametrize(("text", "reasoning", "answer"), TEXTS)
def test_reasoning_is_parted_from_the_answer(text, reasoning, answer):
    assert split(text) == (reasoning, answer)


@pytest.mark.parametrize(("text", "reasoning", "answer"), TEXTS)
def test_reasoning_is_parted_however_the_text_is_cut_in_three(text, reasoning, answer):
    for first, second in itertools.combinations_with_replacement(range(len(text) + 1), 2):
        assert split(text[:first], text[first:second], text[second:]) == (reasoning, answer)


@pytest.mark.parametrize(("text", "reasoning", "answer"), TEXTS)
def test_reasoning_is_parted_letter_by_letter(text, reasoning, answer):
    assert split(*text) == (reasoning, answer)


def test_what_cannot_be_a_tag_is_not_held_back():
    splitter = ThinkSplitter()
    assert splitter.split("<thin") == ("", "")
    assert splitter.split("g>") == ("", "<thing>")
    assert splitter.split("5") == ("", "5")


def test_reasoning_is_passed_on_at_once_but_for_what_may_be_the_end():
    splitter = ThinkSplitter()
    assert splitter.split("<think>let me see") == ("let me see", "")
    assert splitter.split(" now </") == (" now ", "")
    assert splitter.split("b>") == ("</b>", "")


def test_the_rest_is_given_once():
    splitter = ThinkSplitter()
    splitter.split("<think>hm</")
    assert splitter.rest() == ("</", "")
    assert splitter.rest() == ("", "")


@pytest.mark.parametrize(("text", "before"), ORPHANED)
def test_the_end_of_a_block_that_the_text_does_not_open_is_found(text, before):
    start, end = orphaned_end(text)
    assert (text[:start], text[start:end]) == (before, "</think>")


@pytest.mark.parametrize("text", CLOSED)
def test_an_end_that_is_quoted_or_has_its_beginning_is_none(text):
    assert orphaned_end(text) is None


@pytest.mark.parametrize(
    ("text", "reasoning", "answer", "opened"),
    [
        ("hm</think>5", "hm", "5", False),
        ("hm", "hm", "", True),
        ("<think>hm</think>5", "hm", "5", False),
    ],
)
def test_a_text_may_begin_in_a_block(text, reasoning, answer, opened):
    for pieces in ([text], [*text]):
        splitter = ThinkSplitter(opened=True)
        found = [*map(splitter.split, pieces), splitter.rest()]
        assert ("".join(part for part, _ in found), "".join(part for _, part in found)) == (reasoning, answer)
        assert splitter.opened is opened


CALL = '<|channel|>commentary to=functions.add <|constrain|>json<|message|>{"a": 2}<|call|>'
#: What the model wrote, and the thoughts and the text in it.
WRITTEN = [
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


def channels(*parts):
    splitter = ChannelSplitter()
    pieces = [*map(splitter.split, parts), splitter.rest()]
    return "".join(thought for thought, _ in pieces), "".join(text for _, text in pieces)


@pytest.mark.parametrize(("written", "thoughts", "text"), WRITTEN)
def test_thoughts_are_parted_from_text_however_it_is_cut(written, thoughts, text):
    assert channels(written) == (thoughts, text)
    for size in (1, 2, 3, 5, 7):
        assert channels(*(written[at : at + size] for at in range(0, len(written), size))) == (thoughts, text)


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
    channels(unit * (1_000_000 // len(unit)))
    assert time.process_time() - began < 6  # quadratic: minutes
