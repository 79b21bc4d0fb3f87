"""The embedded SmolLM2-135M-Instruct, from its package to a quantized model in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantgate.variants.made import MANIFEST
from pytest_quantgate.variants.source import ModelSource, resolve_model
from pytest_quantgate.variants.variant import LoadedModel, load_variant, prepare_variant

pytestmark = pytest.mark.embedded

LINEAR_LAYERS = 30 * 7
STOP_TOKEN = 2
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def source() -> ModelSource:
    """Converted in the user's own cache folder, as it is for everyone else."""
    return resolve_model("smollm2")


def first_words(loaded: LoadedModel) -> str:
    import torch

    model: Any = loaded.model  # its generate carries a wrong type
    tokenizer: Any = loaded.tokenizer
    prompt = tokenizer.apply_chat_template(CAPITAL, add_generation_prompt=True, return_tensors="pt")
    with torch.inference_mode():
        tokens = model.generate(**prompt, max_new_tokens=10, do_sample=False)
    return str(tokenizer.decode(tokens[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))


def test_the_alias_is_a_whole_checkpoint_in_the_cache(source: ModelSource) -> None:
    assert source.name == "smollm2"
    assert {path.name for path in source.folder.iterdir()} >= {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "chat_template.jinja",
        MANIFEST,
    }


def test_asking_again_converts_nothing(source: ModelSource) -> None:
    notes: list[str] = []
    written = (source.folder / MANIFEST).stat().st_mtime_ns
    assert resolve_model("smollm2", note=notes.append) == source
    assert (Path(source.folder) / MANIFEST).stat().st_mtime_ns == written
    assert notes == []


@pytest.mark.parametrize(
    ("spec", "replaced", "bits", "share"),
    [("fp16", 0, 16, 1.0), ("nf4", LINEAR_LAYERS, 4.5, 0.43), ("int8", LINEAR_LAYERS, 8.05, 0.61)],
)
def test_a_variant_loads_audited_and_answers(
    source: ModelSource, spec: str, replaced: int, bits: float, share: float
) -> None:
    loaded = load_variant(prepare_variant(spec, source, device="cpu"))
    assert loaded.audit.modules_total == LINEAR_LAYERS + 1
    assert loaded.audit.modules_replaced == replaced
    assert loaded.audit.bits_per_weight == pytest.approx(bits, abs=0.05)
    assert loaded.audit.memory_bytes / loaded.audit.reference_bytes == pytest.approx(share, abs=0.02)
    assert loaded.model.generation_config.eos_token_id == loaded.tokenizer.eos_token_id == STOP_TOKEN
    assert "capital of France" in first_words(loaded)
