"""Arrivals from a trace: what files are read, what they are refused for, and that every line is asked exactly once."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproof.reference import Latency, embedded, target_text
from chatproof.swarm.asking.aim import estimate, estimate_of_trace, reference_target
from chatproof.swarm.asking.arrivals import Leg, expected
from chatproof.swarm.asking.ask import Workload
from chatproof.swarm.asking.plan import OPTIONS, fixed_options, trace_of
from chatproof.swarm.asking.trace import Arrival, Sizes, Trace, TraceError, read_trace, share
from chatproof.swarm.launch import command
from chatproof.swarm.master.output import fingerprint
from chatproof.target import parse_target
from tests.load_run import Run, run, truth

KEY = parse_target(target_text("http://127.0.0.1:1/v1"), name="t", beside=Path(), env={}).api_key
MS = 1_000_000
SIZES = Sizes(prompt_tokens=64, max_tokens=128, prompt_cap=4096, answer_cap=1024)

# The first lines of three public traces, and our own names for the same.
AZURE = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,879,55
"""
AZURE_2024 = """\
TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:00.017335+00:00,2399,6
"""
BURST_GPT = """\
Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
"""
MOONCAKE = """\
{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}
{"timestamp": 3052.5, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}
"""
OURS = "timestamp,prompt_tokens,max_tokens\r\n0.25,10,20\r\n\r\n0.5,,30\r\n0.5,12,\r\n"
ONLY_STARTS = "timestamp\n1700000000\n1700000001.5\n"


def read(text: str | bytes, folder: Path, *, speed: float = 1, seconds: float | None = None) -> Trace:
    """The trace of a file that holds this."""
    file = folder / "t.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_trace(file, speed=speed, seconds=seconds, sizes=SIZES)


FILES: dict[str, tuple[str, list[tuple[float, int, int]]]] = {  # milliseconds, prompt, answer
    "Azure 2023": (AZURE, [(0, 374, 44), (4314.579, 396, 109), (4541.877, 879, 55)]),
    "Azure 2024": (AZURE_2024, [(0, 2162, 5), (7.405, 2399, 6)]),
    "BurstGPT": (BURST_GPT, [(0, 472, 18), (40_000, 1087, 230)]),
    "Mooncake": (MOONCAKE, [(0, 4096, 500), (3052.5, 4096, 490)]),
    "our names": (OURS, [(0, 10, 20), (250, 64, 30), (250, 12, 128)]),
    "starts only": (ONLY_STARTS, [(0, 64, 128), (1500, 64, 128)]),
    "a mark at the start": ("\ufeff" + ONLY_STARTS, [(0, 64, 128), (1500, 64, 128)]),
    "no end of the last line": (ONLY_STARTS.strip(), [(0, 64, 128), (1500, 64, 128)]),
}


@pytest.mark.parametrize("name", FILES)
def test_public_traces_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    """The first request is the start, instants and sizes are the file's, and what a file lacks the options say."""
    text, wanted = FILES[name]
    arrivals = read(text, tmp_path).arrivals

    assert [(at / MS, prompt, answer) for at, prompt, answer in arrivals] == wanted


def test_speed_divides_the_time_and_the_runs_time_ends_it(tmp_path: Path) -> None:
    """Twice as fast is half the time; what lies after the end is not played, and that is told."""
    fast = read(AZURE, tmp_path, speed=2)
    short = read(AZURE, tmp_path, speed=2, seconds=2.2)

    assert [round(at / MS) for at, _, _ in fast.arrivals] == [0, 2157, 2271]
    assert fast.seconds == pytest.approx(2.27094, abs=1e-5)
    assert fast.until_s is None
    assert (len(short.arrivals), short.seconds, short.until(1)) == (2, 2.2, 1)
    assert "2 times as fast as recorded" in fast.said
    assert "the rest lies after the run's time and is left out" in short.said
    assert read(AZURE, tmp_path, seconds=60).seconds == pytest.approx(4.541877)


def test_sizes_are_capped_and_that_is_told(tmp_path: Path) -> None:
    """A prompt or an answer that is too long is cut to the cap, a size of 0 becomes 1, and the line counts both."""
    found = read("timestamp,prompt_tokens,max_tokens\n0,9999,0\n1,0,2000\n2,4096,1024\n", tmp_path)

    assert [arrival[1:] for arrival in found.arrivals] == [(4096, 1), (1, 1024), (4096, 1024)]
    assert (found.cut_prompts, found.cut_answers, found.raised) == (1, 1, 2)
    assert (
        "1 longer prompts are cut to --prompt-cap 4096; 1 longer answers are cut to --answer-cap 1024"
        in found.said
    )


def test_the_digest_is_that_of_the_whole_file(tmp_path: Path) -> None:
    """`sha256sum` names the same file, also where only its beginning is played."""
    text = ONLY_STARTS + "".join(f"{1700000002 + n}\n" for n in range(300_000))
    found = read(text, tmp_path, seconds=5)

    assert len(found.arrivals) == 6
    assert found.digest == hashlib.sha256(text.encode()).hexdigest()


BAD: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "t.csv: holds no request"),
    "a header only": ("timestamp,prompt_tokens\n", "t.csv: holds no request"),
    "no header": ("0.0,100,20\n1.0,100,20\n", "t.csv:1: no column timestamp"),
    "no start": ("timestamp,prompt_tokens\n1,2\n,3\n", "t.csv:3: no timestamp"),
    "a row that ends early": ("prompt_tokens,timestamp\n1,2\n3\n", "t.csv:3: no timestamp"),
    "a start that is none": (
        "timestamp\n1\nsoon\n",
        "t.csv:3: timestamp 'soon' is neither a number of seconds",
    ),
    "infinitely late": ("timestamp\ninf\n", "t.csv:2: timestamp 'inf'"),
    "no count": (
        "timestamp,max_tokens\n1,2\n2,many\n",
        "t.csv:3: the answer's length 'many' is no whole number",
    ),
    "a negative count": ("timestamp,prompt_tokens\n1,-2\n", "t.csv:2: the prompt's length '-2'"),
    "back in time": ("timestamp\n1\n3\n2\n", "t.csv:4: starts before the line above: put the lines in order"),
    "no JSON": ('{"timestamp": 1}\n{"timestamp"\n', "t.csv:2: is no JSON object"),
    "no object": ('{"timestamp": 1}\n[2]\n', "t.csv:2: is no JSON object"),
    "no member": ('{"timestamp": 1}\n\n{"time": 2}\n', "t.csv:3: no timestamp"),
    "a count that is true": (
        '{"timestamp": 1, "output_length": true}\n',
        "t.csv:1: the answer's length 'True'",
    ),
    "packed": (b"\x1f\x8b\x08\x00", "t.csv:1: no text: a trace is CSV or JSON lines"),
    "an open quote": ('timestamp\n"' + "1" * 200_000, "t.csv:2: field larger than field limit"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_told_with_its_place(tmp_path: Path, name: str) -> None:
    """One line that names file and line and what is wrong there; nothing is guessed."""
    text, said = BAD[name]

    with pytest.raises(TraceError) as problem:
        read(text, tmp_path)
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With the system's own reason."""
    with pytest.raises(TraceError, match=r"none\.csv: cannot be read: No such file"):
        read_trace(tmp_path / "none.csv", speed=1, seconds=None, sizes=SIZES)


def test_more_than_memory_should_hold_is_refused_unless_the_run_ends_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A week's trace is not loaded whole by accident; its beginning can be played."""
    monkeypatch.setattr("chatproof.swarm.asking.trace.MOST", 50)
    text = "timestamp\n" + "0\n" * 50 + "100\n"

    with pytest.raises(TraceError, match="play its beginning, with a --duration"):
        read(text, tmp_path)
    assert len(read(text, tmp_path, seconds=99).arrivals) == 50


@given(st.integers(1, 60), st.integers(1, 9))
def test_workers_share_a_trace_exactly(count: int, workers: int) -> None:
    """Put together, the shares of any number of workers are the whole trace, each request once."""
    whole = [Arrival(n, n + 1, n + 2) for n in range(count)]
    shares = [share(whole, worker, workers) for worker in range(workers)]

    assert sorted(each for part in shares for each in part) == whole
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def options(**given: Any) -> Mapping[str, Any]:
    """A scenario's options."""
    return {**{option.dest: option.default for option in OPTIONS}, **given}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"speed": 2.0}, "--speed is for a --trace"),
        ({"prompt_cap": 9}, "--prompt-cap is for a --trace"),
        ({"trace": "t.csv", "rate": 3.0}, "--rate does not go with --trace"),
        ({"trace": "t.csv", "arrival": "constant"}, "--arrival does not go with --trace"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict[str, Any], said: str) -> None:
    """None of them is silently without effect."""
    with pytest.raises(TraceError, match=said):
        trace_of(options(**given), None)


def test_without_a_trace_there_is_none_and_with_one_the_options_size_it(tmp_path: Path) -> None:
    """The options' sizes stand in for what the file does not say."""
    (tmp_path / "t.csv").write_text("timestamp,max_tokens\n0,5000\n")
    found = trace_of(options(trace=str(tmp_path / "t.csv"), prompt_tokens=7, answer_cap=9, speed=3.0), 5.0)

    assert trace_of(options(), None) is None
    assert found is not None
    assert (found.arrivals, found.speed) == ((Arrival(0, 7, 9),), 3)


def test_what_a_trace_costs_is_the_sum_of_its_requests(tmp_path: Path) -> None:
    """Requests, tokens and credits are counted size by size; the dearest request bounds each one."""
    target = reference_target("http://127.0.0.1:1/v1")
    model = target.models[0].id
    found = read("timestamp,prompt_tokens,max_tokens\n0,100,10\n2,300,20\n3,100,10\n", tmp_path)
    cost = estimate_of_trace(target, model, found)
    each = [
        estimate(target, model, (Workload("w", p, m),), 1).credits_each or Decimal(0)
        for p, m in ((100, 10), (300, 20))
    ]

    assert (cost.requests, cost.tokens, cost.seconds) == (3, 540, 3)
    assert (cost.credits_each, cost.credits) == (each[1], 2 * each[0] + each[1])
    line = cost.lines(target, model, 10, None)
    assert "3 requests in 3 s; up to 540 tokens; up to " in line


def test_a_traces_content_and_speed_are_what_runs_are_compared_by() -> None:
    """Another file under the same name is another run, the same file elsewhere is not; another speed is another run."""

    def made(digest: str, path: str, speed: float) -> str:
        section = {
            "scenario": "arrivals",
            "options": options(trace=path, speed=speed),
            "trace": {"digest": digest},
        }
        return fingerprint(section)["settings"]

    assert made("a", "x/t.csv", 1) == made("a", "y/t.csv", 1)
    assert made("a", "x/t.csv", 1) != made("b", "x/t.csv", 1)
    assert made("a", "x/t.csv", 1) != made("a", "x/t.csv", 2)


def test_a_trace_is_played_to_its_end_unless_a_duration_is_given() -> None:
    """Thirty seconds are the default of every run but that one."""
    assert command("arrivals", {})[-2:] == ["--run-time", "30s"]
    assert "--run-time" not in command("arrivals", {"trace": "t.csv"})
    assert command("arrivals", {"trace": "t.csv", "duration": "9s"})[-4:-2] == ["--run-time", "9s"]


def test_what_legs_ask_for_until_a_moment() -> None:
    """A schedule that was cut short asked for what its first seconds hold."""
    legs = [Leg(10, 4), Leg(50, 2), Leg(10, 4)]

    assert [expected(legs, until) for until in (None, 2, 5, 99)] == [180, 20, 90, 180]


def test_a_web_form_confirms_nothing_and_names_no_file() -> None:
    """Whoever can open the page may change the load; --yes, files and the trace are the command line's."""
    parsed = SimpleNamespace(
        yes=False, trace=None, report=None, target="mine.toml", stop_file=None, max_tokens=5
    )
    options = fixed_options(SimpleNamespace(parsed_options=parsed))
    sent = {
        "yes": True,
        "trace": "/etc/passwd",
        "report": "/elsewhere",
        "target": "other.toml",
        "stop_file": "x",
    }
    for name, value in {**sent, "max_tokens": 9}.items():
        setattr(parsed, name, value)

    found = options()
    assert {name: found[name] for name in sent} == {
        "yes": False,
        "trace": None,
        "report": None,
        "target": "mine.toml",
        "stop_file": None,
    }
    assert found["max_tokens"] == 9


# --- whole runs ----------------------------------------------------------------------------------------------


def played(
    folder: Path, text: str, *more: str, latency: Latency | None = None
) -> tuple[Run, list[dict[str, Any]]]:
    """A run of a trace against a reference, and the truth about it."""
    file = folder / "trace.csv"
    file.write_text(text)
    with embedded(latency, folder / "truth") as reference:
        given = ("--trace", str(file), "--host", reference.base_url, *more)
        found = run("arrivals", *given, report=folder, key=KEY)
        return found, truth(folder / "truth")


@pytest.mark.alone  # it measures
@pytest.mark.parametrize("processes", [1, 3])
def test_every_line_of_a_trace_is_asked_once_when_it_is_due(tmp_path: Path, processes: int) -> None:
    """By the target's own log: as many requests as lines, each with its size, at its instant, whoever asks.

    50 ms: a start is late by at most some milliseconds; the rest is what a machine that others use too may add.
    """
    lines = [(n * 0.02 + (0.2 if n > 60 else 0), 5 + n % 40) for n in range(120)]
    text = "timestamp,prompt_tokens,max_tokens\n" + "".join(
        f"{at},{40 + n},{size}\n" for n, (at, size) in enumerate(lines)
    )
    workers = ("--processes", str(processes)) if processes > 1 else ()
    found, log = played(tmp_path, text, "--speed", "0.5", *workers)
    starts = sorted(row.intended_ns for row in found.rows)
    off = [abs((at - starts[0]) / 1e9 - 2 * due) for at, (due, _) in zip(starts, lines, strict=True)]

    assert len(log) == len(found.rows) == 120
    assert Counter(line["completion_tokens"] for line in log) == Counter(size for _, size in lines)
    assert max(off) < 0.05
    assert found.load["rate"]["asked"] == found.load["rate"]["achieved"] == pytest.approx(120 / 5.16)
    assert len({row.worker for row in found.rows}) == processes
    assert len({row.stream_id for row in found.rows}) == 120
    assert found.load["trace"]["digest"] == hashlib.sha256(text.encode()).hexdigest()
    assert f"SHA-256 {found.load['trace']['digest']}" in (tmp_path / "index.html").read_text()
    assert found.exit_code == 0 or found.load["health"]["complaints"], found.said
    assert "trace trace.csv: 120 requests in 5.16 s; 0.5 times as fast as recorded" in found.said


@pytest.mark.alone  # it measures
def test_a_trace_ends_with_the_runs_time(tmp_path: Path) -> None:
    """What is due later is not asked, and asked and achieved are of the time that was played."""
    text = "timestamp\n" + "".join(f"{n / 10}\n" for n in range(600))
    found, log = played(tmp_path, text, "-t", "2s", "--max-tokens", "5")

    assert len(log) == len(found.rows) == 21
    assert found.load["seconds"] == 2
    assert found.load["rate"]["asked"] == found.load["rate"]["achieved"] == 10.5


USAGE = {
    "a bad line": ("arrivals", "timestamp\n1\nx\n", (), "trace.csv:3: timestamp 'x'"),
    "an empty trace": ("arrivals", "", (), "holds no request"),
    "a trace and a rate": ("arrivals", "timestamp\n1\n", ("--rate", "3"), "--rate does not go with --trace"),
    "another scenario": (
        "steady",
        "timestamp\n1\n",
        (),
        "--trace has no effect in steady: it is for arrivals",
    ),
    "another machine": (
        "arrivals",
        "timestamp,prompt_tokens,max_tokens\n0,100,20\n30,100,20\n",
        ("--host", "http://192.0.2.1/v1"),
        "2 requests in 30 s; up to 240 tokens; cost unknown",
    ),
}


@pytest.mark.parametrize("name", USAGE)
def test_a_trace_that_cannot_be_played_is_one_line_and_exit_2(name: str, tmp_path: Path) -> None:
    """Nothing is sent; a trace for another machine is estimated and must be confirmed like any load."""
    scenario, text, more, said = USAGE[name]
    file = tmp_path / "trace.csv"
    file.write_text(text)
    found = run(scenario, "--trace", str(file), *more, report=tmp_path, key="k" if "--host" in more else None)

    assert found.exit_code == 2, found.said
    assert said in found.said
    assert "Traceback" not in found.said
    assert not found.report
    assert ("add --yes to confirm" in found.said) == (name == "another machine")


def test_a_budget_stops_a_trace_too(tmp_path: Path) -> None:
    """A trace longer than the budget ends with it, and the report says so."""
    with embedded() as reference:
        file = tmp_path / "target.toml"
        file.write_text(target_text(reference.base_url) + "\n[budget]\nload_requests = 7\n")
        (tmp_path / "trace.jsonl").write_text(
            "".join(json.dumps({"timestamp": 40 * n}) + "\n" for n in range(60))
        )
        given = ("--trace", str(tmp_path / "trace.jsonl"), "--target", str(file), "--max-tokens", "5")
        found = run("arrivals", *given, report=tmp_path)

    assert len(found.rows) == 7
    assert "the budget of 7 requests is used up" in found.load["reason"]
