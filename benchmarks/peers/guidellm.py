"""guidellm on a kind of load: its command line, and its own records of single requests read back."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import environment, tokenizer
from benchmarks.peers.process import Ended, run
from benchmarks.row import RAMP_S, Told, Work
from chatproof.swarm.client.transport import wall_offset

NAME = "guidellm 0.8.1"
PACKAGES = ("torch==2.13.0", "guidellm==0.8.1")


def once(root: str, work: Work) -> Told | None:
    """One run with one worker process, which holds all users; None where it failed."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = environment("guidellm", own, PACKAGES)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        words = tokenizer(python, folder / "tokenizer")
        backend = f"kind=openai_http,target={root}{work.path},model=bench,request_format=/v1/chat/completions"
        options = {
            "backend": backend,
            "profile": f"kind=concurrent,streams={work.users},rampup_duration={RAMP_S}",
            "constraint": f"kind=max_requests,count={work.requests}",
            "tokenizer": f"kind=hf_auto,model={words}",
            "data": "kind=synthetic_text,prompt_tokens=16,output_tokens=128",
            "output": f"kind=json,path={folder / 'out.json'}",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        command = [str(python.parent / "guidellm"), "run", *flags, "--disable-progress"]
        environ = {"HF_HUB_OFFLINE": "1", "GUIDELLM__MAX_WORKER_PROCESSES": "1"}
        return _told(folder / "out.json", run(command, folder / "log", environ))


def _told(file: Path, ended: Ended) -> Told | None:
    """Its records. Instants are of the calendar clock; the answer's id names the stream."""
    try:
        requests = json.loads(file.read_text(encoding="utf-8"))["benchmarks"][0]["requests"]
        whole: list[dict[str, Any]] = requests["successful"]
    except (OSError, ValueError, LookupError):
        whole = []
    if not whole:
        print(f"{NAME} recorded no request:\n{ended.said}", file=sys.stderr)
        return None
    offset = wall_offset()
    timings = [(request["response_id"], request["info"]["timings"]) for request in whole]
    return Told(
        ended_ns=round(max(each["request_end"] for _, each in timings) * 1e9) - offset,
        firsts={
            f"bench-{name.removeprefix('chatcmpl-')}": round(each["first_token_iteration"] * 1e9) - offset
            for name, each in timings
            if name and each["first_token_iteration"]
        },
        streams=sum(len(listed or ()) for listed in requests.values()),
        complete=len(whole),
        rss_mb=ended.memory_mb,
        launched_ns=ended.launched_ns,
    )
