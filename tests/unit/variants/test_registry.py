from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_quantgate.errors import SpecError, UsageError
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.registry import (
    Description,
    Entry,
    OptionKind,
    Scheme,
    backend_of,
    check_here,
    describe,
    entry_of,
    register,
    unregister,
    variant_names,
)
from pytest_quantgate.variants.spec import VariantSpec, parse_spec, split_specs

OWN = Entry("pytest_quantgate.variants.plain:BACKEND", {"bits": OptionKind.NAMES})


@pytest.fixture
def own_name() -> Iterator[str]:
    register("own", OWN)
    yield "own"
    unregister("own")


def test_a_registered_name_is_a_spec_with_its_options(own_name: str) -> None:
    assert own_name in variant_names()
    assert str(parse_spec("own:bits=a")) == "own:bits=a"


def test_registering_the_same_again_changes_nothing(own_name: str) -> None:
    register(own_name, OWN)
    assert entry_of(own_name) == OWN


def test_a_name_has_one_backend() -> None:
    with pytest.raises(UsageError, match="belongs to pytest_quantgate"):
        register("nf4", Entry("other.package:BACKEND"))
    assert entry_of("nf4").target.startswith("pytest_quantgate")


@pytest.mark.parametrize("name", ["", "Own", "own:x", "own,x", "4bit", "own x"])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="variant name"):
        register(name, OWN)


def test_a_registered_name_may_have_schemes() -> None:
    register("grouped", Entry(OWN.target, scheme=Scheme(r"\dbit(-g\d+)?", "4bit-g16", group=16)))
    try:
        assert str(parse_spec("grouped:3bit")) == "grouped:3bit-g16"
        assert str(parse_spec("grouped:3bit-g4")) == "grouped:3bit-g4"
        with pytest.raises(SpecError, match="for example grouped:4bit-g16"):
            parse_spec("grouped:bit")
    finally:
        unregister("grouped")


def test_a_scheme_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="something other than an Entry"):
        register("grouped", Entry(OWN.target, scheme="4bit"))  # type: ignore[arg-type]


def test_an_option_may_be_called_like_a_variant_and_then_stands_behind_the_colon() -> None:
    register("other", Entry(OWN.target, {"int8": OptionKind.FLAG, "wide": OptionKind.FLAG}))
    try:
        assert split_specs("nf4,other:int8,wide,int8") == ["nf4", "other:int8,wide", "int8"]
    finally:
        unregister("other")


@pytest.mark.parametrize("target", ["no.such.module:X", "pytest_quantgate.variants.plain:NOTHING"])
def test_a_backend_that_cannot_be_imported_is_one_clear_error(target: str) -> None:
    register("broken", Entry(target))
    try:
        with pytest.raises(SpecError, match="cannot be imported"):
            backend_of("broken")
    finally:
        unregister("broken")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("fp16", ["float16", "nothing quantized"]),
        ("nf4", ["4-bit NormalFloat", "except the output head"]),
        ("nf4:double", ["quantized again"]),
        ("int8:skip=fc1", ["8-bit", "the output head and fc1"]),
        ("rtn:4bit", ["rounded to nearest", "groups of 64", "except the output head"]),
        ("quanto:int4,skip=fc1", ["4-bit", "quanto", "the output head and fc1"]),
        ("torchao:int8-dynamic", ["8-bit", "torchao", "activations too"]),
        ("torchao:nvfp4", ["NVFP4", "from weights in bfloat16"]),
    ],
)
def test_a_description_says_what_is_quantized_and_what_is_left(text: str, parts: list[str]) -> None:
    spec = parse_spec(text)
    summary = describe(spec).summary
    assert all(part in summary for part in parts)


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("fp32", 32),
        ("fp16", 16),
        ("bf16", 16),
        ("int8", 8),
        ("nf4", 4),
        ("nf4:double,skip=fc1", 4),
        ("fp4", 4),
        ("ruin:2bit", 2),
        ("ruin:zeroed-layer", None),
        ("ruin:shuffled-head", None),
        ("rtn:3bit", 3),
        ("quanto:int2", 2),
        ("torchao:float8-dynamic", 8),
        ("torchao:nvfp4", 4),
        ("hqq:4bit", 4),
    ],
)
def test_a_description_names_the_bits_of_a_quantized_weight(text: str, bits: float | None) -> None:
    assert describe(parse_spec(text)).bits == bits


def test_a_backend_need_not_say_how_many_bits() -> None:
    described = Description("own", stored_bits=4.5, max_bits=5, cuda_dtype="float16")
    assert described.bits is None


class Faulty:
    def describe(self, spec: object) -> object:
        if "wrong" in str(spec):
            return "four bits"
        raise SpecError("own reason") if "own" in str(spec) else KeyError("bits")

    def check(self, spec: object, *_: object) -> None:
        self.describe(spec)


FAULTY = Faulty()


def refusal_of(name: str, ask: Callable[[VariantSpec], object]) -> str:
    """What asking that backend under a name raises."""
    register(name, Entry(f"{__name__}:FAULTY"))
    try:
        with pytest.raises(SpecError) as caught:
            ask(parse_spec(name))
    finally:
        unregister(name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("faulty", f"variant 'faulty': its backend {__name__}:FAULTY cannot describe it: KeyError: 'bits'"),
        ("faulty-wrong", f"its backend {__name__}:FAULTY does not describe it"),
        ("faulty-own", "own reason"),
    ],
)
def test_a_backend_that_fails_to_describe_is_one_clear_error(name: str, part: str) -> None:
    assert part in refusal_of(name, describe)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("faulty", f"variant 'faulty': its backend {__name__}:FAULTY cannot check it: KeyError: 'bits'"),
        ("faulty-own", "own reason"),
    ],
)
def test_a_backend_may_refuse_and_when_it_fails_at_that_it_is_one_clear_error(name: str, reason: str) -> None:
    told = refusal_of(name, lambda spec: check_here(spec, Path(), Placement("cpu", "float32", "dense")))
    assert told.startswith(reason)
