"""How content came, on instants made by hand: steadily, in blocks, or so that one stream cannot tell."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

import pytest

from chatproof.answer import Answer
from chatproof.incremental import Arrival, Pace, arrivals, bursts, described, first_text_ns, moments, pace
from chatproof.record import Read
from chatproof.target import Incremental, Settings
from chatproof.target.keys import Share
from tests.exchanges import CHUNKS, changed, frames, stream_answer

MS = 1_000_000
DEFAULT = Settings()


def at(*instants_ms: float, size: int = 3) -> list[Arrival]:
    """Arrivals of equal size at these milliseconds."""
    return [Arrival(int(ms * MS), size) for ms in instants_ms]


def every(gap_ms: float, count: int = 80, start_ms: float = 0) -> list[Arrival]:
    """Arrivals at even gaps."""
    return at(*(start_ms + n * gap_ms for n in range(count)))


def blocks(*counts: int, apart_ms: float = 100, gap_ms: float = 0.03) -> list[Arrival]:
    """Blocks of so many arrivals, written one after another at once."""
    return [a for n, count in enumerate(counts) for a in every(gap_ms, count, n * apart_ms)]


def cut(content: Iterable[Arrival], places: Iterable[int], by_ms: float) -> list[Arrival]:
    """The same arrivals, later by so much from each of these places on: a client or server that lost its turn."""
    late = list(content)
    for place in places:
        late[place:] = [replace(a, at_ns=a.at_ns + int(by_ms * MS)) for a in late[place:]]
    return late


HOW = {
    "a token every 4 ms": (every(4), Pace.STEADY),
    "a token every 30 ms": (every(30), Pace.STEADY),
    "1000 tokens a second": (every(1), Pace.STEADY),
    "two tokens an event": (every(8, 40), Pace.STEADY),
    "eight flushes": (blocks(*[10] * 8), Pace.STEADY),
    "five flushes": (blocks(*[16] * 5), Pace.COARSE),
    "four flushes": (blocks(*[20] * 4), Pace.COARSE),
    "with one stall of half the time": (cut(every(4), [40], 320), Pace.STEADY),
    "all at once": (blocks(80), Pace.BLOCKS),
    "all in 1.9 ms": (every(0.024), Pace.BLOCKS),
    "two blocks": (blocks(40, 40), Pace.BLOCKS),
    "three blocks": (blocks(27, 27, 26), Pace.BLOCKS),
    "nine tenths at once, then token by token": (blocks(72) + every(4, 8, 4), Pace.BLOCKS),
    "one token, then the rest": (at(0) + every(0.01, 79, 300), Pace.BLOCKS),
    "all at once, written slowly": (every(0.12), Pace.UNCLEAR),
    "nine tenths at once, written slowly": (every(0.05, 72) + every(4, 8, 8), Pace.UNCLEAR),
    "three blocks, one cut in two": (cut(blocks(27, 27, 26), [40], 4), Pace.UNCLEAR),
    "three blocks, each cut in three": (cut(blocks(27, 27, 26), [9, 18, 36, 45, 60, 70], 4), Pace.UNCLEAR),
}


@pytest.mark.parametrize("how", HOW)
def test_pace(how: str) -> None:
    """What a model sends as it goes is steady or coarse; what a proxy holds back is blocks, or at least not clear."""
    content, expected = HOW[how]

    assert pace(content, DEFAULT) is expected


def test_blocks_are_never_steady_however_they_are_cut() -> None:
    """Up to three blocks, cut anywhere up to eight times by 3 to 5 ms, never pass."""
    chance = random.Random(5)
    seen = set()
    for _ in range(300):
        count = chance.randint(1, 3)
        content = blocks(*[81 // count] * count, apart_ms=110)
        places = chance.sample(range(1, len(content)), chance.randint(0, 8))
        seen.add(pace(cut(content, places, chance.uniform(3, 5)), DEFAULT) if count > 1 else Pace.BLOCKS)

    assert seen == {Pace.BLOCKS, Pace.UNCLEAR}


def test_late_reader_does_not_make_blocks_of_a_stream() -> None:
    """Four stalls of 25 ms, in which arrivals merge, leave a stream of 320 ms steady."""
    content = every(4)
    for start_ms in (20, 90, 170, 250):
        end_ns = (start_ms + 25) * MS
        content = [replace(a, at_ns=end_ns) if start_ms * MS <= a.at_ns < end_ns else a for a in content]

    assert pace(content, DEFAULT) is Pace.STEADY


def test_settings_decide() -> None:
    """Moments, their distance and the largest share are the target file's."""

    def settings(**rule: object) -> Settings:
        return Settings(incremental=Incremental(**rule))  # type: ignore[arg-type]

    assert pace(blocks(40, 40), settings(moments=2)) is not Pace.BLOCKS
    assert pace(blocks(*[16] * 5), settings(moments=6)) is Pace.BLOCKS
    assert pace(every(4), settings(apart_ms=200)) is Pace.BLOCKS
    assert pace(blocks(60, 7, 7, 6), settings(largest_share=Share("0.8"))) is not Pace.BLOCKS
    assert pace(blocks(60, 7, 7, 6), DEFAULT) is Pace.BLOCKS


def test_moments_and_bursts() -> None:
    """A moment ends by the clock, a burst by a silence; a burst that lasts is as many moments as it has."""
    content = at(0, 1.5, 3, 4.5, 20)

    assert moments(content, 2 * MS) == [6, 6, 3]
    assert bursts(content, 2 * MS, 24 * MS) == [12, 3]
    assert bursts(content, 2 * MS, 4 * MS) == [6, 6, 3]
    assert moments(at(0, 2), 2 * MS) == [6]
    assert moments(at(0, 2.001), 2 * MS) == [3, 3]


def test_described() -> None:
    """A finding says how many events came, at how many moments, in what time."""
    assert described(blocks(40, 40), DEFAULT) == (
        "80 content events at 2 moments within 101.2 ms, 50 % of the text at one of them"
    )


def stream(*deltas: dict[str, str]) -> Answer:
    """A stream of these deltas, a read each, a millisecond apart from the fourth on."""
    events = [changed(CHUNKS[1], {"choices.0.delta": delta}) for delta in deltas]
    return stream_answer([CHUNKS[0], *events, CHUNKS[3]])


def test_arrivals_are_of_visible_text() -> None:
    """Events that bring text count, with its length and the instant of the read that completed them."""
    found = arrivals(
        stream({"content": "Hi"}, {"content": ""}, {"reasoning_content": "hm"}, {"content": "you"})
    )

    assert found == (Arrival(5 * MS, 2), Arrival(8 * MS, 3))


def test_reasoning_is_judged_where_only_that_is_long_enough() -> None:
    """A model that spends the whole answer thinking shows its pace by that."""
    thoughts = [{"reasoning": "abc"}] * 30

    assert len(arrivals(stream(*thoughts, {"content": "x"}))) == 30
    assert len(arrivals(stream(*thoughts, *[{"content": "x"}] * 31))) == 31
    assert len(arrivals(stream(*thoughts[:29], {"content": "x"}))) == 1


def test_event_has_the_instant_of_its_last_byte() -> None:
    """An event cut over two reads came with the second."""
    whole = b"".join(frames(CHUNKS))
    place = whole.index(b"Hello")
    answer = stream_answer(body=[whole[:place], whole[place:]])

    assert [arrival.at_ns for arrival in arrivals(answer)] == [5 * MS, 5 * MS]
    assert answer.exchange.reads[0] == Read(4 * MS, whole[:place])


def test_first_text_is_counted_from_the_request() -> None:
    """Text or reasoning, whichever came first; none where there is none."""
    assert first_text_ns(stream({"reasoning_content": "hm"}, {"content": "Hi"})) == 3 * MS
    assert first_text_ns(stream({"content": ""})) is None
