"""The pure parts of a load run: schedules, prompts, the journal, the ledger, health and the verdict."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproof.answer import NONCE
from chatproof.contract import Level
from chatproof.metrics import Histogram, Judgement, StreamRow
from chatproof.metrics.slo import fewest, weigh
from chatproof.metrics.terms import parse_terms
from chatproof.record import Ending, Read
from chatproof.swarm.asking.arrivals import Leg, arrivals, expected, share, total_seconds
from chatproof.swarm.asking.ask import MIX, Asker, Workload, choose, chooser, nonce_of
from chatproof.swarm.asking.plan import OPTIONS, misplaced, users_a_second, whole_seconds
from chatproof.swarm.client.endpoint import Endpoint, addresses
from chatproof.swarm.launch import COMMAND_OPTIONS, command, scenarios
from chatproof.swarm.master.ledger import Ledger, ready
from chatproof.swarm.master.live import Live
from chatproof.swarm.master.output import finite
from chatproof.swarm.master.progress import closing
from chatproof.swarm.master.search import step_seconds
from chatproof.swarm.master.summary import Ended, load_section, verdict
from chatproof.swarm.streams.condense import condensed
from chatproof.swarm.streams.kept import Tally
from chatproof.swarm.worker import health as fitness
from chatproof.swarm.worker.backlog import Backlog
from chatproof.swarm.worker.health import Health, complaints
from chatproof.swarm.worker.journal import Batch, Begun, Inbox, Outbox, decode
from chatproof.target import read_contract
from chatproof.verdict import Exit
from tests.load_server import event

MS, SECOND = 1_000_000, 1_000_000_000


# --- arrivals ------------------------------------------------------------------------------------------------

LEGS = st.lists(
    st.builds(Leg, st.floats(0, 60), st.floats(0.1, 6), st.sampled_from(["constant", "poisson"])),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(LEGS, st.integers(0, 5), st.integers(1, 9))
def test_workers_share_a_schedule_exactly(legs: list[Leg], seed: int, workers: int) -> None:
    """Put together, the shares of any number of workers are the whole schedule, each arrival once and in order."""
    whole = list(arrivals(legs, seed))
    shares = [list(share(legs, seed, worker, workers)) for worker in range(workers)]

    assert sorted(each for part in shares for each in part) == list(enumerate(whole))
    assert whole == sorted(whole)
    assert all(0 <= at <= total_seconds(legs) * SECOND for at in whole)


def test_a_constant_rate_is_even_and_a_poisson_rate_is_not() -> None:
    """Constant arrivals are equally far apart; Poisson ones have gaps that spread as much as they are long."""
    even = list(arrivals([Leg(10, 5, "constant")], 1))
    wild = list(arrivals([Leg(200, 20, "poisson")], 1))
    gaps = [b - a for a, b in pairwise(wild)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5

    assert len(even) in (49, 50)
    assert {round((b - a) / MS) for a, b in pairwise(even)} == {100}
    assert len(wild) == pytest.approx(expected([Leg(200, 20)]), rel=0.06)
    assert spread == pytest.approx(mean, rel=0.06)


def test_the_same_seed_gives_the_same_schedule() -> None:
    """A run can be repeated to the nanosecond, and another seed is another run."""
    legs = [Leg(20, 3)]

    assert list(arrivals(legs, 7)) == list(arrivals(legs, 7)) != list(arrivals(legs, 8))


# --- requests ------------------------------------------------------------------------------------------------


def test_a_request_is_what_its_seed_and_name_say() -> None:
    """Same seed and id, same bytes; the body carries the nonce, the sizes and the id, and never the key."""
    endpoint = Endpoint.of("http://127.0.0.1:9/v1")
    asker = Asker(endpoint, "m", (("Authorization", "Bearer secret"),), (("X-Env", "staging"),), seed=3)
    ask = asker.ask("run-w0-1", Workload("w", 300, 40))

    assert asker.ask("run-w0-1", Workload("w", 300, 40)).wire == ask.wire
    assert asker.ask("run-w0-2", Workload("w", 300, 40)).nonce != ask.nonce
    assert NONCE.search(ask.body.decode()) is not None
    assert len(ask.body.split()) == pytest.approx(300, abs=30)
    assert b"X-Request-Id: run-w0-1\r\n" in ask.wire
    assert b"Authorization: Bearer secret\r\n" in ask.wire
    assert f"Content-Length: {len(ask.body)}\r\n".encode() in ask.wire
    assert "secret" not in str(ask.headers) + ask.body.decode()


def test_two_runs_of_a_seed_ask_the_same_words_under_other_nonces() -> None:
    """So that two targets are asked alike, and no cache can answer the second; another seed has other words."""
    endpoint, work = Endpoint.of("http://127.0.0.1:9/v1"), Workload("w", 300, 40)
    first, second, other = (
        Asker(endpoint, "m", (), (), seed).ask(f"{run}-w0-0000001", work)
        for run, seed in (("a", 3), ("b", 3), ("a", 4))
    )

    assert first.nonce != second.nonce
    assert first.body.replace(first.nonce.encode(), b"") == second.body.replace(second.nonce.encode(), b"")
    assert first.body.replace(first.nonce.encode(), b"") != other.body.replace(other.nonce.encode(), b"")


def test_workloads_come_as_often_as_their_weights_say() -> None:
    """The mix of a thousand requests is the mix that was asked for."""
    draw = chooser(MIX, 1)
    names = [choose(MIX, draw).name for _ in range(4000)]

    for workload in MIX:
        assert names.count(workload.name) / 4000 == pytest.approx(workload.weight, abs=0.03)


def test_addresses_of_both_families_take_turns() -> None:
    """A family that is dead costs one attempt, not all of them."""
    found = [(10, 1, 6, "", ("::1", 80)), (10, 1, 6, "", ("::2", 80)), (2, 1, 6, "", ("1.1.1.1", 80))]

    assert [family for family, _ in addresses(found)] == [10, 2, 10]


# --- condensing ----------------------------------------------------------------------------------------------


def test_a_condensed_stream_keeps_everything_but_repetition() -> None:
    """Two of each kind of running chunk stay, with whatever else stood between them, byte for byte."""
    parts = [event(role="assistant"), *[event(word) for word in "abcdefgh"], b": ping\n\n", event("i")]
    odd = event("j", id="other")
    parts += [odd, event("k", created="late"), event(finish="stop"), b"data: [DONE]\n\n", b": bye\n"]
    reads = [Read(at, part) for at, part in enumerate(parts)]
    body = b"".join(read.data for read in condensed(reads))

    assert body == b"".join([*parts[:3], b": ping\n\n", *parts[11:]])


# --- the journal ---------------------------------------------------------------------------------------------


def row(stream_id: str, ending: Ending = Ending.COMPLETE, at: int = 0, ttft: int = 10 * MS) -> StreamRow:
    """A row that started at `at` and had its first content after `ttft`."""
    return StreamRow(
        stream_id=stream_id,
        scenario="s",
        worker="w0",
        intended_ns=at,
        started_ns=at,
        first_byte_ns=at + ttft,
        first_content_ns=at + ttft,
        last_content_ns=at + ttft,
        ended_ns=at + ttft,
        ending=ending,
        clock="kernel",
    )


def batch(**fields: object) -> Batch:
    """A batch that is still to be sealed."""
    return Batch(run="", worker="", number=0, **fields)  # type: ignore[arg-type]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_whatever_the_wire_repeats_or_reorders_each_row_is_booked_once(
    sizes: list[int], draw: random.Random
) -> None:
    """Batches may come late, twice or out of order: every row is there once and nothing is left running."""
    outbox, names = Outbox("r", "w0"), []
    for number, size in enumerate(sizes):
        mine = [f"{number}-{i}" for i in range(size)]
        names += mine
        outbox.seal(batch(begun=[Begun(name, "s", 0, 0) for name in mine]))
        outbox.seal(batch(rows=[row(name) for name in mine], final=number == len(sizes) - 1))
    wire = [*outbox.waiting, *draw.sample(outbox.waiting, draw.randint(0, len(outbox.waiting)))]
    draw.shuffle(wire)
    ledger = Ledger("r", 1, ("w0",))
    for payload in wire:
        ledger.take(decode(payload))

    assert sorted(each.stream_id for each in ledger.rows) == sorted(names)
    assert ready(ledger, ())
    assert not ledger.settle()
    assert ledger.running == 0


def test_what_a_dead_worker_had_on_its_way_is_lost_by_name() -> None:
    """Only streams that were announced and never reported are lost, with their worker and their instants."""
    outbox = Outbox("r", "w0")
    ledger = Ledger("r", 1, ("w0", "w1"))
    ledger.take(decode(outbox.seal(batch(begun=[Begun("a", "s", 1, 2), Begun("b", "s", 3, 4)]))))
    ledger.take(decode(outbox.seal(batch(rows=[row("a")]))))
    ledger.take(decode(Outbox("r", "w1").seal(batch(final=True))))

    assert not ready(ledger, ())
    assert ready(ledger, ("w0",))
    assert ledger.settle() == ("w0",)
    assert [
        (each.stream_id, each.ending, each.started_ns) for each in ledger.rows if each.stream_id == "b"
    ] == [("b", Ending.LOST, 4)]


def test_a_report_is_sent_again_until_it_is_acknowledged() -> None:
    """The outbox forgets a batch only when the master has it."""
    outbox = Outbox("r", "w0")
    first, second = outbox.seal(batch()), outbox.seal(batch())
    outbox.acknowledged(1)

    assert outbox.waiting == (second,)
    assert decode(first).number == 1


def test_a_batch_of_another_run_is_not_booked() -> None:
    """A report that comes after its run belongs to no other."""
    ledger = Ledger("new", 1, ("w0",))

    assert not ledger.take(decode(Outbox("old", "w0").seal(batch(rows=[row("a")]))))
    assert not ledger.rows


def test_a_final_batch_that_overtakes_an_earlier_one_does_not_complete_the_worker() -> None:
    """Complete means the final batch and all before it."""
    outbox, box = Outbox("r", "w0"), Inbox("w0")
    first, last = outbox.seal(batch(begun=[Begun("a", "s", 0, 0)])), outbox.seal(batch(final=True))
    box.take(decode(last))

    assert not box.complete
    assert not box.running
    box.take(decode(first))
    assert box.complete


def test_ids_that_two_workers_saw_clash_and_foreign_nonces_are_found() -> None:
    """STR-17 is judged over all workers: one id for two streams, and a nonce in another's answer."""
    ledger = Ledger("r", 1, ("w0", "w1"))
    ledger.take(decode(Outbox("r", "w0").seal(batch(rows=[row("a")], tokens=[("STR-17", 5, "a")]))))
    stray = [("b", nonce_of("1/a")), ("b", "nx0000000000000")]  # one of this run, and a model's own invention
    ledger.take(
        decode(Outbox("r", "w1").seal(batch(rows=[row("b")], tokens=[("STR-17", 5, "b")], suspects=stray)))
    )
    ledger.settle()
    tally = ledger.tallies["STR-17"]

    assert (tally.subjects, tally.violations, tally.level) == (2, 2, "MUST")
    assert "nonce of a" in tally.findings[1]["actual"]


# --- health --------------------------------------------------------------------------------------------------


def packed(ms: float, count: int = 100) -> str:
    """A histogram of equal times."""
    return Histogram.of([round(ms * MS)] * count).pack()


FIT = Health(worker="w0", hub_lag=packed(0.1), canary=packed(0.1), cpu=[0.5] * 10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"canary": packed(6)}, "canary p99"),
        ({"canary": ""}, "canary events"),
        ({"hub_lag": packed(21)}, "event loop lag"),
        ({"schedule_lag": packed(25)}, "late starts"),
        ({"cpu": [0.99] * 6 + [0.2] * 4}, "full core"),
        ({"gc_max_ns": 101 * MS}, "collector pause"),
        ({"arrivals": 100, "dropped": 1}, "arrivals dropped"),
    ],
)
def test_each_way_of_being_unfit_is_a_complaint(change: dict[str, object], said: str) -> None:
    """A fit client has no complaint; each probe beyond its threshold has just its own."""
    unfit = msgspec.structs.replace(FIT, **change)

    assert complaints([FIT], "kernel") == ()
    (complaint,) = complaints([unfit], "kernel")
    assert said in complaint.what


def test_a_complaint_is_read_with_its_unit() -> None:
    """Milliseconds stand behind both numbers, shares have none."""
    lag = fitness.Complaint("w0", "event loop lag p99 ms", 75.861, 20)
    full = fitness.Complaint("w0", "share of seconds with a full core", 0.6, 0.1)

    assert lag.text == "w0: event loop lag p99 75.86 ms, limit 20 ms"
    assert full.text == "w0: share of seconds with a full core 0.6, limit 0.1"


def test_without_kernel_times_lateness_counts_sooner() -> None:
    """What the kernel's stamp hides is in every figure of a clock that is read in the process."""
    late = Health(worker="w0", hub_lag=packed(8), canary=packed(0.1), cpu=[0.5] * 10)

    assert not complaints([late], "kernel")
    assert complaints([late], "user")


def test_the_advice_counts_the_workers_that_would_do() -> None:
    """As many as carry the measured CPU at 60 % each, and at least one more than now."""
    busy = [Health(worker=f"w{i}", canary=packed(9), cpu=[1.0] * 5) for i in range(3)]

    assert "--processes 5 (2 more)" in fitness.advice(complaints(busy, "kernel"), busy)
    assert fitness.advice((), busy) == ""


def test_the_advice_tells_a_full_machine_from_a_full_client() -> None:
    """A client that used little of its core, and waited for it, needs another machine and not another process."""
    kept = [Health(worker="w0", hub_lag=packed(50), cpu=[0.1] * 5, waited=[0.4] * 5)]
    told = fitness.advice(complaints(kept, "kernel"), kept)

    assert told.startswith(
        "others had the core that the client needed, 40% of the time, while it used 10% of one"
    )
    assert "--processes" not in told


@pytest.mark.parametrize(("count", "size"), [(257, 0), (65, 1 << 20), (1, (64 << 20) + 1)])
def test_what_waits_to_be_judged_is_bounded_in_number_and_in_bytes(count: int, size: int) -> None:
    """One less, or one taken, and there is room again; nothing is dropped, and the first comes first."""
    backlog: Backlog[int] = Backlog()
    room = []
    for number in range(count):
        room.append(not backlog.full)
        backlog.put(number, size)

    assert (all(room), backlog.full) == (True, True)
    assert backlog.take() == 0
    assert not backlog.full
    assert bool(backlog) == (count > 1)


# --- the verdict ---------------------------------------------------------------------------------------------


def judged(
    rows: Sequence[StreamRow],
    *,
    health: Health = FIT,
    tallies: dict[str, Tally] | None = None,
    slo: str = "",
    interrupted: bool = False,
    killed: bool = False,
) -> tuple[Exit, str]:
    """The verdict on a run of one worker."""
    ledger = Ledger("r", 1, ("w0",))
    outbox = Outbox("r", "w0")
    ledger.take(
        decode(outbox.seal(batch(rows=list(rows), health=health, tallies=tallies or {}, final=not killed)))
    )
    terms = parse_terms([slo])
    incomplete = ledger.settle()
    ended = Ended(
        scenario="s", seconds=10, reason="over", terms=terms, interrupted=interrupted, incomplete=incomplete
    )
    found = verdict(load_section(ledger, ended, read_contract()), ended)
    return found.exit, found.why


GOOD = [row(str(n), at=n * 50 * MS) for n in range(100)]
SLOW = [row(str(n), at=n * 50 * MS, ttft=900 * MS) for n in range(100)]
BROKEN = {"STR-02": Tally(100, 3, 0, Level.MUST.value, 5 * SECOND, [])}
WARNED = {"BIL-07": Tally(100, 3, 0, Level.SHOULD.value, 5 * SECOND, [])}
UNFIT = Health(worker="w0", hub_lag=packed(99), canary=packed(99), cpu=[1.0] * 10)


def test_verdicts_in_their_order() -> None:
    """An unfit client or lost streams beat a failure, a failure beats what is open, and that beats a pass."""
    slo = "ttft_p95<800ms"

    assert judged(GOOD)[0] is Exit.CONFORMS
    assert judged(GOOD, slo=slo)[0] is Exit.CONFORMS
    assert judged(SLOW, slo=slo)[0] is Exit.VIOLATES
    assert judged(GOOD, tallies=BROKEN)[0] is Exit.VIOLATES
    assert judged(GOOD, tallies=WARNED)[0] is Exit.CONFORMS
    assert judged(GOOD[:20], slo=slo)[0] is Exit.INCONCLUSIVE
    assert judged([])[0] is Exit.INCONCLUSIVE
    assert judged([row("a", Ending.REFUSED)])[0] is Exit.INCONCLUSIVE
    assert judged(GOOD, interrupted=True)[0] is Exit.INCONCLUSIVE
    assert judged(SLOW, slo=slo, interrupted=True)[0] is Exit.VIOLATES
    assert judged(SLOW, slo=slo, health=UNFIT)[0] is Exit.INVALID
    assert judged(GOOD, killed=True)[0] is Exit.INVALID


def test_cuts_and_429_count_in_the_complete_fraction_and_slow_the_adjusted_tail() -> None:
    """They are figures, not clause failures: a pass without an objective, a failure with one on either."""
    rows = [*GOOD[:90], *(row(f"x{n}", Ending.RATE_LIMITED) for n in range(10))]

    assert judged(rows)[0] is Exit.CONFORMS
    assert judged(rows, slo="complete_fraction>=0.99")[0] is Exit.VIOLATES
    assert judged(rows, slo="ttft_p95<800ms")[0] is Exit.VIOLATES


def test_the_rate_at_the_first_violation_is_told() -> None:
    """A violation names its second and how fast requests came then."""
    ledger = Ledger("r", 1, ("w0",))
    ledger.take(decode(Outbox("r", "w0").seal(batch(rows=GOOD, health=FIT, tallies=BROKEN, final=True))))
    section = load_section(ledger, Ended(scenario="s", seconds=5, reason="over"), read_contract())
    (found,) = [each for each in section["conformance"] if each["id"] == "STR-02"]

    assert (found["subjects"], found["kept"], found["first_at_s"]) == (100, 97, 5)
    assert found["rate_at_first_per_s"] == pytest.approx(20, rel=0.05)


def test_what_is_no_json_number_is_null() -> None:
    """Infinities and NaN never reach the report."""
    assert finite({"a": [1.5, float("inf"), float("nan")], 1: (2,)}) == {"a": [1.5, None, None], "1": [2]}


def test_the_live_page_shows_seconds_as_they_come() -> None:
    """Each second has its own percentiles and endings, and ten minutes are kept."""
    live = Live()
    for each in [*GOOD, row("late", Ending.CUT, at=700 * SECOND)]:
        live.add(each)
    series = live.series([FIT], lambda second: 20.0 + second)

    assert live.series([FIT], lambda second: None, until=700)["seconds"] == []
    assert series["asked_per_s"] == [720.0]
    assert series["seconds"] == [700]
    assert series["endings"] == {"complete": 100, "cut": 1}
    assert series["clients"][0]["canary_p99_ms"] == pytest.approx(0.1, rel=0.01)


# --- the command ---------------------------------------------------------------------------------------------


def test_every_scenario_is_a_command_of_plain_locust() -> None:
    """Seven scenarios, each with its question; options become locust's own words and defaults stay unsaid."""
    names = [scenario.name for scenario in scenarios()]
    words = command("steady", {"users": 3, "duration": "5s", "slo": ("a<1s", "b<2s"), "yes": True, "seed": 1})

    assert names == ["arrivals", "capacity", "hangup", "mixed", "soak", "spike", "steady"]
    assert all(re.search(r"[a-z]{3}", scenario.question) for scenario in scenarios())
    assert words[-9:] == ["--users", "3", "--run-time", "5s", "--slo", "a<1s", "--slo", "b<2s", "--yes"]
    assert "--seed" not in words


@pytest.mark.parametrize(
    ("users", "ramp_s", "rate"),
    [(10, None, 5), (200, None, 100), (1000, None, 100), (50, 10, 5), (1000, 1, 1000)],
)
def test_users_start_over_two_seconds_or_a_hundred_a_second(
    users: int, ramp_s: int | None, rate: float
) -> None:
    """A thousand users take ten seconds to start, unless a ramp says otherwise."""
    assert users_a_second(users, ramp_s) == rate


@pytest.mark.parametrize("name", [scenario.name for scenario in scenarios()])
def test_a_scenario_takes_the_options_that_it_uses_and_refuses_the_others(name: str) -> None:
    """An option without effect is a mistake that is told, in the command's help and under plain locust."""
    known = {option.name for option in COMMAND_OPTIONS if option.of(name)}
    given = {option.dest: option.default for option in OPTIONS}

    assert ("rate" in known) != ("users" in known)
    assert ("trace" in known) == (name == "arrivals")
    assert misplaced(name, given) is None
    assert misplaced(name, {**given, "leave_share": 0.5}) == (
        None if name == "hangup" else f"--leave-share has no effect in {name}: it is for hangup"
    )
    assert misplaced("mine", {**given, "leave_share": 0.5}) is None


def test_times_are_whole_seconds() -> None:
    """As locust writes them; what is no time is told."""
    assert [whole_seconds(text) for text in ("90", "30s", "5m", "1h30m")] == [90, 30, 300, 5400]
    for text in ("", "soon", "0s", "1.5h", "-3s"):
        with pytest.raises(ValueError, match="write it like 90s, 5m or 1h30m"):
            whole_seconds(text)


@pytest.mark.parametrize(
    ("slo", "rate", "first", "second"),
    [
        ("ttft_p95<1s", 100, 10, 30),  # 59 requests can show it: there are 1000
        ("ttft_p95<1s", 2, 59, 177),  # ... and 118 take 59 seconds
        ("ttft_p99<1s", 1, 120, 360),  # 598 would take ten minutes
    ],
)
def test_a_step_of_a_search_lasts_until_it_can_be_judged(
    slo: str, rate: float, first: float, second: float
) -> None:
    """A step that is too short to show anything would send the search to ever lower rates."""
    need = fewest(parse_terms([slo]))

    assert step_seconds(10, rate, need, longer=False) == first
    assert step_seconds(10, rate, need, longer=True) == second


def test_the_fewest_streams_are_the_verdicts_own() -> None:
    """One stream fewer, all within the limit, is still inconclusive."""
    for text, count in (("ttft_p95<1s", 59), ("ttft_p99<1s", 299), ("complete_fraction>=0.999", 2995)):
        (term,) = parse_terms([text])

        assert fewest([term]) == count
        assert weigh(0, count, term.allowed) is Judgement.PASS
        assert weigh(0, count - 1, term.allowed) is Judgement.INCONCLUSIVE


def test_what_was_said_of_streams_that_did_not_complete_is_told_by_how_often() -> None:
    """Each ending with its commonest reasons, so that a line on the screen says more than `malformed`."""
    no_answer, late = "closed before any answer", "no answer within 3 s"
    rows = [
        *GOOD[:2],
        *(msgspec.structs.replace(row(f"c{n}", Ending.CUT), detail=no_answer) for n in range(3)),
        msgspec.structs.replace(row("c9", Ending.CUT), detail="another"),
        msgspec.structs.replace(row("t", Ending.TIMED_OUT), detail=late),
    ]
    ledger = Ledger("r", 1, ("w0",))
    ledger.take(decode(Outbox("r", "w0").seal(batch(rows=rows, health=FIT, final=True))))
    ended = Ended(scenario="s", seconds=5, reason="over")
    section = load_section(ledger, ended, read_contract())
    lines = closing(section, verdict(section, ended), "http://t")

    assert section["details"]["cut"] == [{"detail": no_answer, "count": 3}, {"detail": "another", "count": 1}]
    assert lines[0] == "s on http://t: 5 s, 7 requests (2 complete, 4 cut, 1 timed_out)"
    assert lines[1:4] == [f"  cut: {no_answer} (3)", "  cut: another (1)", f"  timed_out: {late} (1)"]
    assert "  - not told of ttft, e2e: n = 7: p90 with a 95 % interval needs 36" in lines
