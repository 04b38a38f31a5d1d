"""What a failed response says: how long to wait, and what is wrong."""

import json
import time
from email.utils import formatdate

import pytest

from tinyagent.core.http import message_in, retry_after, sentence


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_the_wait_that_a_server_asks_for_is_read(headers, seconds):
    assert retry_after(headers) == seconds


def test_a_date_to_wait_for_is_read():
    at = formatdate(time.time() + 100, usegmt=True)
    assert 90 < retry_after({"retry-after": at}) <= 100


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "no such model", "code": 404}}, "no such model"),
        ({"error": "no such model"}, "no such model"),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "not a number"}, {"msg": "too long"}]},
            "body.seed: not a number; too long",
        ),
        ({"detail": {"error": "busy"}}, "busy"),
        ({"readableMessage": "Wait.", "message": "RATE"}, "Wait."),
        ({"loc": ["body"]}, ""),
        ("busy", "busy"),
        ({"status": 3}, ""),
        ([1, None], ""),
    ],
)
def test_a_message_is_found_wherever_it_is(body, message):
    assert message_in(json.dumps(body)) == message_in(json.dumps(body).encode()) == message


@pytest.mark.parametrize("body", ["", "<html>", b"\xff\xfe{", "[" * 100_000])
def test_what_is_no_json_has_none(body):
    assert message_in(body) is None


def test_words_become_a_sentence():
    assert sentence(" too\n many ") == "too many."
    assert sentence("Why?") == "Why?"
    assert sentence(" ") == "nothing."
