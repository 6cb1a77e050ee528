"""What counts as an Idempotency-Key, bare and as the draft's quoted string."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from server.web.idempotency import KEY_CHARACTERS_MAX, NAME, key_of
from server.web.refusals import InvalidIdempotencyKeyError

VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
visible_texts = st.text(VISIBLE, min_size=1, max_size=KEY_CHARACTERS_MAX)


def key_in(*values: str) -> str | None:
    """The key of a request whose header is given once for each value."""
    return key_of(HTTPHeaders.parse("".join(f"{NAME}: {value}\r\n" for value in values)))


def refusal_of(*values: str) -> str:
    """What is said about a header that must be refused."""
    with pytest.raises(InvalidIdempotencyKeyError) as caught:
        key_in(*values)
    return str(caught.value)


def quoted(text: str) -> str:
    """A text as a string of RFC 8941."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


# Accepted


def test_a_request_without_the_header_has_no_key():
    assert key_of(HTTPHeaders({"Content-Type": "application/json"})) is None


@pytest.mark.parametrize("name", ["Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY", "iDEMPOTENCY-kEY"])
def test_the_name_of_the_header_has_no_case(name):
    assert key_of(HTTPHeaders({name: "a"})) == "a"


def test_the_case_of_a_key_counts():
    assert key_in("Abc") != key_in("abC")


@pytest.mark.parametrize(
    "text", ["a", "8e03978e-40d5-43dd-bc93-6894a57f9324", "a,b", "a;b=1", 'a"b', "a\\", ","]
)
def test_a_bare_key_is_taken_as_it_is(text):
    assert key_in(text) == text


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ('"a"', "a"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"a\\"b"', 'a"b'),
        ('"a\\\\b"', "a\\b"),
        ('"\\\\\\""', '\\"'),
        ('"a;b=1"', "a;b=1"),
        ("'a'", "'a'"),
    ],
)
def test_a_quoted_string_means_what_stands_in_it(sent, key):
    assert key_in(sent) == key


@pytest.mark.parametrize("sent", ["  a", "a  ", "\ta\t", ' "a" '])
def test_blanks_around_a_key_are_no_part_of_it(sent):
    assert key_in(sent) == "a"


def test_a_key_of_255_characters_is_the_longest():
    assert KEY_CHARACTERS_MAX == 255
    longest = "k" * 255
    assert key_in(longest) == key_in(quoted(longest)) == longest
    for sent in (longest + "k", quoted(longest + "k")):
        assert "1 to 255 visible ASCII characters" in refusal_of(sent)


def test_escapes_of_a_quoted_string_do_not_count_towards_its_length():
    key = '"' * 255
    assert key_in(quoted(key)) == key


# Refused


@pytest.mark.parametrize("sent", ["", "  ", "\t", '""', '" "'])
def test_an_empty_key_is_refused(sent):
    assert "1 to 255 visible ASCII characters" in refusal_of(sent)


@pytest.mark.parametrize(
    "sent", ["a b", "a\tb", '"a b"', "é", '"é"', "a\xa0", "\xa0a", "a\x85", "\xa0", "a\x80"]
)
def test_what_is_not_visible_ascii_is_refused(sent):
    assert "visible ASCII" in refusal_of(sent)


@pytest.mark.parametrize("sent", ['"', '"a', '"a"b', '"a";q=1', '"a", "b"', '"a\\"', '"a\\b"', '"a""b"'])
def test_what_begins_as_a_quoted_string_and_is_none_is_refused(sent):
    assert "no quoted string" in refusal_of(sent)


@pytest.mark.parametrize("values", [("a", "a"), ("a", "b"), ('"a"', "a")])
def test_a_header_that_is_given_twice_is_refused_even_with_the_same_key(values):
    assert "given 2 times" in refusal_of(*values)


# Whatever is sent


@settings(max_examples=300, deadline=None)
@given(visible_texts)
def test_bare_and_quoted_a_visible_text_is_the_same_key(text):
    assert key_in(quoted(text)) == text
    if not text.startswith('"'):
        assert key_in(text) == text


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(max_codepoint=0xFF, exclude_characters="\0\r\n"), max_size=300))
def test_every_header_is_a_visible_key_or_refused_and_never_an_error_of_ours(sent):
    headers = HTTPHeaders()
    headers[NAME] = sent
    try:
        key = key_of(headers)
    except InvalidIdempotencyKeyError as error:
        assert error.status == 400
    else:
        assert key is not None
        assert 1 <= len(key) <= 255
        assert set(key) <= set(VISIBLE)
