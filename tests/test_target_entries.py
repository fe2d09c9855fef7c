"""Deviations and waivers of a target file: what they must say, and the lines they are told by."""
# ruff: noqa: E501 - a case is one line

from __future__ import annotations

from pathlib import Path

import pytest

from chatproof.target import Match, Target, TargetError, parse_target

STAGING = 'base_url = "https://staging.example/v1"\n'


def parse(text: str) -> Target:
    """Read a target file's text as if it were `t.toml`."""
    return parse_target(text, name="t.toml", beside=Path("nowhere"), env={"BEATRA_API_KEY": "sk-main-0000"})


def refusal(text: str) -> str:
    """The one line with which a target file is refused."""
    with pytest.raises(TargetError) as caught:
        parse(text)
    return str(caught.value)


def entry(table: str, **values: str) -> str:
    """A `[[deviation]]` or `[[waive]]` entry with some of its values replaced; values are TOML."""
    fields = {"clause": '"ERR-11"', "reason": '"r"', "until": "2027-01-01"}
    if table == "deviation":
        fields["match"] = "{ status = 400 }"
    return f"[[{table}]]\n" + "".join(f"{key} = {value}\n" for key, value in (fields | values).items())


ENTRY_MISTAKES = [
    (entry("waive", clause='"ERR-99"'), "t.toml:2: [[waive]] the contract has no clause 'ERR-99': did you mean ERR-09?"),
    (entry("waive", clause='"XX-50"'), "t.toml:2: [[waive]] the contract has no clause 'XX-50'; `chatproof clauses` lists them"),
    (entry("deviation", clause='"ERR-98"'), "t.toml:2: [[deviation]] the contract has no clause 'ERR-98': did you mean ERR-09?"),
    (entry("waive", clause='"OWN-04"'), "t.toml:2: [[waive]] OWN-04 is not judged by a run: remove the entry"),
    (entry("waive", clause='"err-11"'), "t.toml:3: waive.clause: expected `str` matching regex '^[A-Z]{2,3}-[0-9]{2}$'"),
    (entry("waive") + entry("waive"), "t.toml:6: [[waive]] for ERR-11 stands already in line 2: remove one"),
    (entry("deviation") + entry("waive") + entry("deviation"), "t.toml:11: [[deviation]] for ERR-11 stands already in line 2: remove one"),
    (entry("deviation", match="{}"), "t.toml:2: [[deviation]] match is empty: say what is known by route, status or contains"),
    (entry("deviation", match="{ state = 1 }"), "t.toml:6: unknown key 'state' in [deviation.match]: did you mean 'status'?"),
    (entry("waive", until='"soon"'), "t.toml:5: waive.until: invalid RFC3339 encoded date"),
    (entry("waive", until="2027-01-01T10:00:00"), "t.toml:5: waive.until: expected `date`, got `datetime`"),
    (entry("waive", reason='""'), "t.toml:4: waive.reason: expected `str` of length >= 1"),
    ('[[waive]]\nclause = "ERR-11"\nreason = "r"\n', "t.toml:2: waive: the key 'until' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), ENTRY_MISTAKES)
def test_a_mistake_in_an_entry_is_told_by_its_line(text: str, message: str) -> None:
    """Deviations and waivers that are unknown, doubled, empty or undated are refused by line."""
    assert refusal(STAGING + text) == message


def test_two_deviations_of_one_clause_may_differ_in_what_they_match() -> None:
    """Only an entry that says the same again is a duplicate."""
    target = parse(STAGING + entry("deviation") + entry("deviation", match="{ status = 422 }"))

    assert [deviation.line for deviation in target.deviations] == [2, 7]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (
            "# one\n\n" + STAGING + "\n" + entry("waive") + "\n# more\n" + entry("waive", clause='"ERR-10"'),
            [5, 11],
        ),
        (STAGING + '[[model]]\nid = """\n[[waive]]\n"""\n' + entry("waive"), [6]),
        (STAGING + "waive = [\n  {clause = 'ERR-11', reason = 'r', until = 2027-01-01},\n]\n", [2]),
        (STAGING + "[[ waive ]]  # why\nclause='ERR-11'\nreason='r'\nuntil=2027-01-01\n", [2]),
    ],
)
def test_entries_know_their_line(text: str, lines: list[int]) -> None:
    """An entry's line is that of its header, whatever stands around it; of its key where it is written inline."""
    assert [waive.line for waive in parse(text).waives] == lines


def test_a_match_in_a_table_of_its_own_belongs_to_its_entry() -> None:
    """`[deviation.match]` below an entry is that entry's match, and its mistakes are told by its own line."""
    text = (
        STAGING
        + "[[deviation]]\nclause='ERR-07'\nreason='r'\nuntil=2027-01-01\n[deviation.match]\nstatus = 400\n"
    )

    assert parse(text).deviations[0].match == Match(status=400)
    assert refusal(text.replace("400", "4")) == "t.toml:7: deviation.match.status: expected `int` >= 100"
