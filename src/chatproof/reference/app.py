"""The gateway: routes, request ids, and the way of one request from its parsed head to the truth log."""

from __future__ import annotations

import re
import sys
import time
import traceback
import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import aiohttp
from aiohttp import web

from .access import AUTHENTICATION, MAIN_KEY
from .call import Call, World
from .chat import meter, reply_to_chat
from .latency import Latency
from .problem import Problem, invalid
from .render import refusal
from .reply import Frame, Json, Reply, json_reply
from .rule import first_problem
from .seams import DOCUMENT, PROBLEM, REPLY, REQUEST_ID
from .transport import Sending, Sent, send
from .truth import Record, TruthLog
from .wallet import MODELS, printed
from .worlds import Worlds

_CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BODY_LIMIT = 16 * 1024 * 1024
_ROUTES = {"/v1/chat/completions": ("POST",), "/v1/models": ("GET", "HEAD"), "/v1/health": ("GET", "HEAD")}
_WORLD = re.compile(r"(/(?:faults|variations)/[^/]+)?(/.*)")


class Gateway:
    """Answers every request of every world; one instance a process."""

    def __init__(self, latency: Latency, truth: TruthLog) -> None:
        self._latency = latency
        self._truth = truth
        self._worlds = Worlds(latency.capacity)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, from its parsed head to its record in the truth log."""
        arrived_ns = time.monotonic_ns()
        path, _, query = request.raw_path.partition("?")
        match = _WORLD.fullmatch(path)
        root, below = (match[1] or "", match[2]) if match else ("", path)
        world = self._worlds.at(root)
        raw = await _body(request)
        call = _call(world or self._worlds.clean, request, below, raw or b"", arrived_ns)
        if (hook := self._hook(call, parse_qs(query)) if world else None) is not None:
            return await send(request, _identified(call, hook), Sending(), lambda frame, last: None)
        problem = (
            invalid("The body is larger than 16 MB or could not be decoded.") if raw is None else None
        ) or (None if world else _not_found(root))
        return await self._answer(request, call, problem)

    async def _answer(self, request: web.BaseRequest, call: Call, problem: Problem | None) -> Sent:
        call.world.calls.append(call)
        sending = Sending()
        reply: Reply | None = None
        close = _nothing
        try:
            reply = refusal(call, problem) if problem else await self._route(call)
            reply = call.through(REPLY, _identified(call, reply))
            before, close = meter(call, reply)
            return await send(request, reply, sending, before)
        finally:
            close()
            call.leave_place()
            call.world.departures += sending.ending == "client_left"
            call.world.calls.remove(call)
            self._truth.add(_record(self._truth.next_number(), call, reply, sending))

    async def _route(self, call: Call) -> Reply:
        allowed = _ROUTES.get(call.path)
        if allowed is None:
            return refusal(call, _not_found(call.path))
        if call.method not in allowed:
            message = f"{call.method[:20]} is not allowed here."
            headers = (("Allow", ", ".join(allowed)),)
            return refusal(call, Problem(405, "method_not_allowed", message, headers=headers, rule="method"))
        if call.path == "/v1/chat/completions":
            return await reply_to_chat(call, self._latency)
        if call.path == "/v1/health":
            return json_reply(200, call.through(DOCUMENT, {"status": "ok"}))
        problem = call.through(PROBLEM, first_problem(call, AUTHENTICATION))
        return refusal(call, problem) if problem else json_reply(200, call.through(DOCUMENT, _catalogue()))

    def _hook(self, call: Call, query: dict[str, list[str]]) -> Reply | None:
        """What is beside the contract: a world's balance, its truth log, the faults that fired in it."""
        if call.method != "GET":
            return None
        if call.path == "/admin/balance":
            return json_reply(200, {"balance": printed(call.world.wallets[MAIN_KEY].balance)})
        if call.path == "/fired":
            return json_reply(200, {"fired": dict(call.world.fired)})
        if call.path == "/truth":
            since = next(iter(query.get("since", [])), "0")
            lines = self._truth.lines(call.world.path or None, int(since) if since.isdecimal() else 0)
            return Reply(200, (("Content-Type", "application/x-ndjson"),), (Frame(b"".join(lines)),))
        return None


def refusal_of_bad_http(status: int, error: BaseException | None) -> web.Response:
    """The envelope for what never became a request, or for our own failure (told on standard error)."""
    problem = invalid("The request is not valid HTTP.")
    if status >= 500:
        problem = Problem(status, "internal_error", "The gateway failed.", retryable=True)
        if not isinstance(error, ConnectionError):  # a client that left is no failure of ours
            traceback.print_exception(error, file=sys.stderr)
    request_id = _new_request_id()
    error_body: Json = {"code": problem.code, "message": problem.message, "retryable": problem.retryable}
    document = json_reply(problem.status, {"error": {**error_body, "request_id": request_id}})
    response = web.Response(
        status=document.status,
        body=document.body,
        content_type="application/json",
        headers={"X-Request-Id": request_id},
    )
    response.force_close()
    return response


def _call(world: World, request: web.BaseRequest, path: str, raw: bytes, arrived_ns: int) -> Call:
    world.arrivals += 1
    call = Call(
        world=world,
        method=request.method,
        path=path,
        headers=request.raw_headers,
        raw=raw,
        arrived_ns=arrived_ns,
        number=world.arrivals,
        nonce=uuid.uuid4().hex,
    )
    sent = call.header("X-Request-Id") or ""
    call.request_id = call.through(REQUEST_ID, sent if _CLIENT_ID.fullmatch(sent) else _new_request_id())
    return call


async def _body(request: web.BaseRequest) -> bytes | None:
    """The request's body; None where it is too large or cannot be decoded."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not request.body_exists:
        return b""
    body = bytearray()
    try:
        async for block in request.content.iter_any():
            body += block
            if len(body) > _BODY_LIMIT:
                return None
    except (aiohttp.ClientPayloadError, aiohttp.http_exceptions.HttpProcessingError, web.RequestPayloadError):
        return None
    return bytes(body)


def _identified(call: Call, reply: Reply) -> Reply:
    return replace(reply, headers=(*reply.headers, ("X-Request-Id", call.request_id)))


def _new_request_id() -> str:
    return f"req_{uuid.uuid4().hex}"


def _not_found(path: str) -> Problem:
    return Problem(404, "not_found", f"There is no route {path[:200]}.", rule="route")


def _catalogue() -> Json:
    entries: list[dict[str, Any]] = [
        {"id": name, "object": "model", "created": 1767225600, "owned_by": "beatra"} for name in MODELS
    ]
    return {"object": "list", "data": entries}


def _nothing() -> None:
    return None


def _record(n: int, call: Call, reply: Reply | None, sending: Sending) -> Record:
    made = call.rendered
    return Record(
        n=n,
        world=call.world.path,
        method=call.method,
        path=call.path,
        request_id=call.request_id,
        status=reply.status if reply else 0,
        completion_id=made.identity.id if made else None,
        arrived_ns=call.arrived_ns,
        head_ns=sending.head_ns,
        writes=tuple(sending.writes),
        ended_ns=time.monotonic_ns(),
        ending=sending.ending,
        prompt_tokens=made.usage.prompt if made else 0,
        completion_tokens=made.usage.completion if made else 0,
        tokens_sent=sending.tokens,
        credits=printed(call.posted),
        replay=call.replay,
        fired=tuple(dict.fromkeys(call.fired)),
    )
