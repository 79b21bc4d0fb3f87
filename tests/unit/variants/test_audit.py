from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from pytest_quantgate.errors import AuditError, QuantgateError
from pytest_quantgate.variants.audit import Audit, Coverage, check_audit, measure, measure_coverage

GOOD = Audit(modules_total=10, modules_replaced=9, bits_per_weight=4.5, memory_bytes=400, reference_bytes=1000)
WHOLE = Coverage(weights=1000, quantized=990, largest_left="model.norm")


def tied_model() -> nn.Module:
    model = nn.Module()
    model.embedding = nn.Embedding(10, 4, dtype=torch.float16)
    model.layer = nn.Linear(4, 8, bias=True, dtype=torch.float16)
    model.head = nn.Linear(4, 10, bias=False, dtype=torch.float16)
    model.head.weight = model.embedding.weight
    return model


def test_a_plain_model_has_no_module_replaced_and_tied_weights_counted_once() -> None:
    audit = measure(tied_model(), lambda _: None)
    assert audit == Audit(2, 0, 16.0, memory_bytes=2 * (40 + 32 + 8), reference_bytes=2 * (40 + 32 + 8))


def test_stored_bytes_replace_those_of_the_weight() -> None:
    model = tied_model()
    audit = measure(model, lambda module: 20 if module is model.layer else None)
    assert audit == Audit(2, 1, 8 * 20 / 32, memory_bytes=2 * (40 + 8) + 20, reference_bytes=160)


def test_a_model_without_linear_modules_has_no_bits() -> None:
    assert measure(nn.Embedding(3, 4), lambda _: None).bits_per_weight == 0


def test_a_quantized_candidate_passes() -> None:
    check_audit(GOOD, WHOLE, 5, "nf4")


def test_a_plain_variant_is_not_held_to_anything() -> None:
    check_audit(
        replace(GOOD, modules_replaced=0, bits_per_weight=32, memory_bytes=2000), Coverage(1000, 0, ""), None, "fp32"
    )


@pytest.mark.parametrize(
    ("audit", "part"),
    [
        (replace(GOOD, modules_replaced=0), "nothing was quantized: 0 of 10 linear modules"),
        (replace(GOOD, bits_per_weight=5.0), "too many bits, 5 or more: 9 of 10"),
        (replace(GOOD, bits_per_weight=float("nan")), "too many bits"),
        (replace(GOOD, memory_bytes=1000), "not smaller than the reference: 9 of 10"),
    ],
)
def test_a_candidate_that_is_not_quantized_is_refused_with_the_counts(audit: Audit, part: str) -> None:
    with pytest.raises(AuditError) as caught:
        check_audit(audit, WHOLE, 5, "nf4")
    assert part in str(caught.value)
    assert "variant 'nf4'" in str(caught.value)
    assert caught.value.hint


def model_with_experts() -> nn.Module:
    model = tied_model()
    model.experts = nn.Module()
    model.experts.up = nn.Parameter(torch.zeros(2, 4, 8))
    return model


def test_coverage_counts_all_weights_but_embeddings_and_what_is_skipped() -> None:
    model = model_with_experts()

    def stored(module: nn.Module) -> int | None:
        return 20 if module is model.layer else None

    assert measure_coverage(model, stored, ["head"]) == Coverage(32 + 8 + 64, 32, "experts")
    assert measure_coverage(model, stored, ["head", "experts"]) == Coverage(32 + 8, 32, "layer")


def test_coverage_leaves_the_output_head_out() -> None:
    model = tied_model()
    model.get_output_embeddings = lambda: model.head  # type: ignore[assignment]  # as transformers' models have it
    assert measure_coverage(model, lambda _: None, []) == Coverage(32 + 8, 0, "layer")


@pytest.mark.parametrize(("quantized", "refused"), [(499, True), (500, False)])
def test_a_candidate_with_most_weights_left_alone_is_refused(quantized: int, refused: bool) -> None:  # noqa: FBT001  (a fact of the table)
    coverage = Coverage(1000, quantized, "model.layers.0.mlp.experts")
    if not refused:
        check_audit(GOOD, coverage, 5, "nf4")
        return
    with pytest.raises(AuditError, match=r"only 499 of 1,000 .*: 9 of 10 linear") as caught:
        check_audit(GOOD, coverage, 5, "nf4")
    assert "such as model.layers.0.mlp.experts" in str(caught.value.hint)


def test_an_audit_survives_json() -> None:
    assert Audit.from_json(GOOD.to_json()) == GOOD


@pytest.mark.parametrize(
    "value", [{}, {**GOOD.to_json(), "modules_total": "many"}, {**GOOD.to_json(), "memory_bytes": None}]
)
def test_a_foreign_audit_is_refused(value: dict[str, object]) -> None:
    with pytest.raises(QuantgateError, match="does not hold the facts"):
        Audit.from_json(value)
