"""The official client speaks to the reference: a floor, since it takes much that the contract does not allow."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from chatproof.reference import embedded
from chatproof.reference.access import MAIN_KEY

MODEL = "MiniMax-M2.7"
ASKED: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Count from 1 to 8."}]
COUNTED = "1 2 3 4 5 6 7 8"


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """The clean reference."""
    with embedded() as reference:
        yield reference.base_url


@pytest.fixture
def client(base_url: str) -> Iterator[openai.OpenAI]:
    """The client as its users make it, but for retries, which would hide what it got."""
    with openai.OpenAI(base_url=base_url, api_key=MAIN_KEY, max_retries=0, timeout=10) as opened:
        yield opened


def test_a_completion(client: openai.OpenAI) -> None:
    """It reads text, usage, the charge beside it and the request id of an unstreamed answer."""
    answer = client.chat.completions.create(model=MODEL, messages=ASKED)

    assert answer.choices[0].message.content == COUNTED
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert (answer.usage.model_extra or {})["credits"]
    assert answer._request_id


def test_a_stream(client: openai.OpenAI) -> None:
    """Its chunks add up to the text, and the last one brings the usage that was asked for."""
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert text == COUNTED
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_its_stream_helper(client: openai.OpenAI) -> None:
    """Its helper, which needs `object` and `index` in the chunks, puts the same completion together."""
    with client.chat.completions.stream(model=MODEL, messages=ASKED) as stream:
        for _ in stream:
            pass
        whole = stream.get_final_completion()

    assert whole.choices[0].message.content == COUNTED
    assert whole.choices[0].finish_reason == "stop"


def test_refusals_become_its_errors(client: openai.OpenAI) -> None:
    """Each status becomes the client's own exception, with the envelope's code and the request id."""
    with pytest.raises(openai.BadRequestError) as invalid:
        client.chat.completions.create(model=MODEL, messages=ASKED, temperature=7)
    stranger = client.with_options(api_key="unknown")
    with pytest.raises(openai.AuthenticationError) as unknown:
        stranger.chat.completions.create(model=MODEL, messages=ASKED)

    assert (invalid.value.status_code, invalid.value.code) == (400, "invalid_request")
    assert (unknown.value.status_code, unknown.value.code) == (401, "invalid_api_key")
    assert invalid.value.request_id


def test_models(client: openai.OpenAI) -> None:
    """It lists the catalogue."""
    assert MODEL in [model.id for model in client.models.list()]
