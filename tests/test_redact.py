"""Secrets never survive into what is kept: however they are written, wherever a read cuts them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.record import Read
from chatproof.redact import SHORTEST, Redactor, forms

KEY = "sk-4/Zq+9=\"x'7"
FORMS: Mapping[str, Callable[[str], bytes]] = {
    "": lambda key: key.encode(),
    "base64": lambda key: base64.b64encode(key.encode()),
    "urlsafe": lambda key: base64.urlsafe_b64encode(key.encode()),
    "url": lambda key: quote(key, safe="").encode(),
    "json": lambda key: json.dumps(key).encode(),
    "sha256": lambda key: hashlib.sha256(key.encode()).hexdigest().encode(),
    "md5": lambda key: hashlib.md5(key.encode()).hexdigest().encode(),
}  # fmt: skip
# What a key may hold, but for "<" and ">": no marker holds a whole secret then.
VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="<>")
SECRETS = st.text(VISIBLE, min_size=12, max_size=40)
PARTS = st.one_of(st.binary(max_size=8), st.tuples(st.integers(0, 2), st.sampled_from(sorted(FORMS))))


def reads_of(body: bytes, cuts: list[int]) -> tuple[Read, ...]:
    """The body in reads, a microsecond apart, cut at these places."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return tuple(Read(n * 1000, body[a:b]) for n, (a, b) in enumerate(pairwise(places)))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_replaced(form: str) -> None:
    """A key is found as it is and in each form in which servers leak it."""
    redactor = Redactor({"api_key": KEY})
    written = FORMS[form](KEY)
    kept = redactor.data(b"before " + written + b" after")

    assert written.strip(b'"=') not in kept
    assert kept.startswith(b"before ")
    assert kept.endswith(b" after")
    assert b"<redacted:api_key" in kept


def test_the_marker_says_kind_and_form() -> None:
    """A reader of a recording learns which secret stood there, and how it was written."""
    redactor = Redactor({"api_key": KEY, "revoked_key": "sk-revoked"})

    assert redactor.text(KEY) == "<redacted:api_key>"
    assert redactor.text("sk-revoked") == "<redacted:revoked_key>"
    assert redactor.text(hashlib.sha256(KEY.encode()).hexdigest()) == "<redacted:api_key:sha256>"


def test_one_secret_may_begin_as_another() -> None:
    """The longer one is taken whole: no tail of it is left."""
    redactor = Redactor({"api_key": "sk-common", "flaky_key": "sk-common-and-more"})

    assert redactor.text("sk-common-and-more sk-common") == "<redacted:flaky_key> <redacted:api_key>"


def test_short_values_are_left() -> None:
    """What is shorter than six characters would be found everywhere by chance."""
    redactor = Redactor({"header_x-env": "stage"})

    assert SHORTEST == 6
    assert redactor.text("stage") == "stage"
    assert redactor.found(b"stage") is None


def test_headers_keep_their_names() -> None:
    """Only values are replaced, and in place."""
    redactor = Redactor({"api_key": "sk-secret-key"})
    headers = (("Authorization", "Bearer sk-secret-key"), ("Accept", "*/*"))

    assert redactor.headers(headers) == (("Authorization", "Bearer <redacted:api_key>"), ("Accept", "*/*"))


@given(st.binary())
def test_without_secrets_nothing_changes(body: bytes) -> None:
    """A run that knows no secret keeps every byte."""
    assert Redactor({}).data(body) == body
    assert Redactor({}).reads([Read(0, body)]) == (Read(0, body),)


@given(st.text())
def test_text_that_is_no_utf8_is_kept(text: str) -> None:
    """A header's odd bytes go through unharmed."""
    odd = text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")

    assert Redactor({"api_key": "sk-secret-key"}).text(odd) == odd


@given(
    secrets=st.lists(SECRETS, min_size=1, max_size=3, unique=True),
    parts=st.lists(PARTS, max_size=8),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_no_secret_survives_any_cut(
    secrets: list[str], parts: list[bytes | tuple[int, str]], cuts: list[int]
) -> None:
    """However a body is cut into reads, no read and no joint of reads shows any form of a secret."""
    redactor = Redactor({f"kind-{n}": secret for n, secret in enumerate(secrets)})
    body = b"".join(
        part if isinstance(part, bytes) else FORMS[part[1]](secrets[part[0] % len(secrets)]) for part in parts
    )
    reads = reads_of(body, cuts)
    kept = redactor.reads(reads)
    joined = b"".join(read.data for read in kept)

    assert [read.at_ns for read in kept] == [read.at_ns for read in reads]
    assert joined == redactor.data(body)
    for secret in secrets:
        assert not [name for name, form in forms(secret).items() if form in joined]
    assert redactor.found(joined) is None


@given(body=st.binary(max_size=30), cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_reads_without_a_secret_are_kept_as_they_are(body: bytes, cuts: list[int]) -> None:
    """Where nothing is to be hidden, bytes and cuts stay."""
    reads = reads_of(body, cuts)

    assert Redactor({"api_key": "sk-secret-key"}).reads(reads) == reads


def test_every_two_cuts_of_a_key() -> None:
    """A key over three reads leaves its marker where it began, and nothing in the other two."""
    redactor = Redactor({"api_key": "sk-secret-key"})
    body = b"data: sk-secret-key\n\n"
    start, end = 6, 6 + len("sk-secret-key")
    for first in range(start + 1, end):
        for second in range(first, end):
            kept = redactor.reads(reads_of(body, [first, second]))

            assert [read.data for read in kept] == [b"data: <redacted:api_key>", b"", b"\n\n"]


@pytest.mark.parametrize("form", FORMS)
def test_the_last_look_finds_each_form(form: str) -> None:
    """What slipped through in any form is found, and named by its marker."""
    redactor = Redactor({"api_key": KEY})
    found = redactor.found(b"... " + FORMS[form](KEY) + b" ...")

    assert found is not None
    assert found.startswith("<redacted:api_key")
    assert redactor.found(b"nothing here") is None


def test_two_keys_side_by_side() -> None:
    """Two keys side by side are two markers."""
    redactor = Redactor({"api_key": "sk-secret-key"})
    pieces = [b"sk-secret-keysk-s", b"ecret-key", b"."]
    kept = redactor.reads(Read(n, piece) for n, piece in enumerate(pieces))

    assert [read.data for read in kept] == [b"<redacted:api_key>" * 2, b"", b"."]
