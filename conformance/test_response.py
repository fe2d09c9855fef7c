"""Whose answer it is, and how its tokens are counted (RSP-02, RSP-04, RSP-09)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from chatproof.answer import SUBSTANCE, Answer
from chatproof.probe import Talk, Violation, noise, told, user
from chatproof.verdict import NotObserved, Untestable

WORDS = "the quick brown fox jumps over the lazy dog and runs on " * 12


@pytest.mark.clause("RSP-02")
def test_equal_requests_are_completions_of_their_own(talk: Talk, model: str) -> None:
    """Equal requests without an idempotency key, at the same time, are different completions.

    Their ids are compared as those of all completions are, by the fact of this clause.
    """
    body = talk.body()
    steps = ("alike-1", "alike-2")
    answers = talk.together([partial(talk.chat, body, key=None, step=step) for step in steps])

    if sum(answer.status == 200 for answer in answers) < 2:
        raise NotObserved("; ".join(told(answer) for answer in answers))


@pytest.mark.clause("RSP-04")
def test_pinned_model_answers(talk: Talk, model: str) -> None:
    """A pinned model is the one that answers, by the same id."""
    if model.lower() == "auto":
        raise Untestable("[[model]] id")
    answer = talk.control()
    if not answer.fields:
        raise NotObserved("the answer is no JSON object")
    named = answer.fields.get("model", "no model")

    if named != model:
        raise Violation(f"model {model}, as pinned", named if named else "an empty one", answer)


def longer(talk: Talk, where: str) -> list[dict[str, Any]]:
    """The control's prompt with a hundred words more: in its message, or in a conversation before it."""
    if where == "message":
        return [user(f"{WORDS} Repeat this code: {talk.nonce()}")]
    before = [
        {"role": "system", "content": WORDS},
        user("Hello."),
        {"role": "assistant", "content": "Hello."},
    ]
    return [*before, user(f"Repeat this code: {talk.nonce()}")]


@pytest.mark.clause("RSP-09")
@pytest.mark.parametrize("where", ["message", "conversation"])
def test_prompt_tokens_grow(talk: Talk, where: str) -> None:
    """A prompt that is longer by a hundred words counts more tokens; a refused one is other clauses' to judge."""
    short = talk.control()
    long = talk.chat(messages=longer(talk, where))
    if noise(long) or (long.status != 200 and where == "message"):
        raise NotObserved(told(long))
    if long.status != 200:
        return
    fewer, more = short.count("prompt_tokens"), long.count("prompt_tokens")

    if fewer is None or more is None:
        raise NotObserved("the answers report no prompt_tokens")
    if more <= fewer:
        raise Violation(
            f"more than the {fewer} prompt tokens of a short prompt", f"{more} with a long {where}", long
        )


@pytest.mark.clause("RSP-09")
def test_words_are_tokens(talk: Talk, model: str) -> None:
    """An answer that says something has used tokens to say it."""
    counts_its_words(talk.control())


@pytest.mark.clause("RSP-09")
def test_characters_beyond_ascii_are_tokens(talk: Talk) -> None:
    """So has one to a prompt that is not ASCII."""
    answer = talk.chat(messages=[user('Repeat exactly: "你好，世界"')])

    if answer.status != 200:
        raise NotObserved(told(answer))
    counts_its_words(answer)


def counts_its_words(answer: Answer) -> None:
    """Judge whether an answer that is not empty counts any token."""
    tokens = answer.count("completion_tokens")
    if tokens is None:
        raise NotObserved("the answer reports no completion_tokens")
    if tokens <= 0 and said_something(answer):
        raise Violation("completion_tokens above 0 for an answer that is not empty", f"{tokens}", answer)


def said_something(answer: Answer) -> bool:
    """Whether any choice holds text, reasoning, a refusal or a tool call."""
    messages = (choice.get("message") for choice in answer.choices)
    return any(message.get(key) for message in messages if isinstance(message, dict) for key in SUBSTANCE)
