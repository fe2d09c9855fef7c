"""llama.cpp's server on loopback, with a small model of random weights that it writes first. Knows nothing of ours.

    python llama.py FOLDER KEY

Prints its address, and ends when its input does. Needs `gguf` and `xllamacpp` (requirements.txt).
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf  # type: ignore[import-not-found]
import numpy as np  # type: ignore[import-not-found]
import xllamacpp  # type: ignore[import-not-found]

MODEL = "tiny-llama"
LAYERS, WIDTH, INNER, HEADS = 4, 256, 1024, 4  # some 4 million weights: about a millisecond a token
SEED = 20
LOUD = 6.0  # of a word's logit: bytes, which nobody can read, are hardly ever said
REPEATED = 3.0
CONTEXT = 8192
SLOTS = 4
UNKNOWN, BEGIN, END = 0, 1, 2
WORDS = [f"▁{a}{b}" for a in ("ba", "de", "ki", "lo", "mu", "ra", "so", "tu") for b in ("n", "l", "r", "s")]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


def write_model(file: Path) -> None:
    """A llama of random weights: the same bytes each time."""
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name(MODEL)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    kinds = gguf.TokenType
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{n:02X}>" for n in range(256)), *WORDS]
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256, *[kinds.NORMAL] * len(WORDS)]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_chat_template(TEMPLATE)
    for name, weights in tensors(len(tokens)):
        writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tensors(vocabulary: int) -> list[tuple[str, np.ndarray]]:
    """Every tensor by its name; rows of the output that are no words are silent."""
    chance = np.random.default_rng(SEED)

    def random(*shape: int) -> np.ndarray:
        return (chance.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    ones = np.ones(WIDTH, dtype=np.float32)
    output = random(vocabulary, WIDTH) * LOUD
    output[: vocabulary - len(WORDS)] = 0
    found = [
        ("token_embd.weight", random(vocabulary, WIDTH)),
        ("output.weight", output),
        ("output_norm.weight", ones),
    ]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        found += [(block + "attn_norm.weight", ones), (block + "ffn_norm.weight", ones)]
        found += [(f"{block}attn_{part}.weight", random(WIDTH, WIDTH)) for part in ("q", "k", "v", "output")]
        found += [
            (block + "ffn_gate.weight", random(INNER, WIDTH)),
            (block + "ffn_up.weight", random(INNER, WIDTH)),
        ]
        found += [(block + "ffn_down.weight", random(WIDTH, INNER))]
    return found


def serve(folder: Path, key: str) -> None:
    """Serve until the input ends."""
    file = folder / "tiny.gguf"
    write_model(file)
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.endpoint_metrics = True
    params.n_parallel = SLOTS
    params.n_ctx = CONTEXT
    params.cpuparams.n_threads = 1
    params.sampling.penalty_repeat = (
        REPEATED  # LiteLLM breaks a stream off where one chunk comes a hundred times
    )
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
