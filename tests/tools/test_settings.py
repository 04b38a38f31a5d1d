"""Settings as people give them."""

import pytest

from tinyagent import ConfigurationError
from tinyagent.tools.settings import check_base_url, check_count, check_key, check_seconds, hosts_of


def test_what_fits_is_returned():
    assert check_seconds("seconds", 0.5) == 0.5
    assert check_count("max_bytes", 0, 0) == 0
    assert check_key("api_key", " a-key\n") == "a-key"
    assert check_base_url("url", " https://search.example:8080/x ") == "https://search.example:8080/x"


@pytest.mark.parametrize(
    ("check", "value", "told"),
    [
        (check_seconds, 0, "x=0: pass a number of seconds above 0"),
        (check_seconds, "5", "x='5': pass a number of seconds"),
        (check_seconds, True, "x=True: pass a number of seconds"),
        (check_seconds, float("nan"), "x=nan: pass a number of seconds"),
        (check_count, 0, "x=0: pass a whole number, 1 or more"),
        (check_count, 1.5, "x=1.5: pass a whole number"),
        (check_count, True, "x=True: pass a whole number"),
        (check_key, "two words", "x: a key is text of ASCII letters"),
        (check_key, None, "x: a key is text"),
        (check_base_url, "search.example", "x: 'search.example' is no base URL"),
        (check_base_url, "http://search.example:99999", "is no base URL"),
        (check_base_url, "http://me:secret@search.example", "x: a URL with a user in it is no base URL"),
    ],
)
def test_what_does_not_fit_is_told_by_its_name(check, value, told):
    with pytest.raises(ConfigurationError) as caught:
        check("x", value)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_hosts_of_a_url():
    assert hosts_of("http://127.0.0.1:8888/x") == ("127.0.0.1:8888", "127.0.0.1:443")
    assert hosts_of("http://[::1]") == ("[::1]:80", "[::1]:443")
    assert hosts_of("https://search.lan") == ("search.lan:443",)
