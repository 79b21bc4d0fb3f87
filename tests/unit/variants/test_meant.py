"""What a spec that is none is told: the nearest specs, each of which is one, and how they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.registry import Entry, Scheme, register, unregister
from pytest_quantgate.variants.spec import parse_spec, split_specs


def hint_of(text: str) -> str:
    """What to do about a text that is no spec."""
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert caught.value.hint is not None
    return caught.value.hint


def meant(text: str) -> list[str]:
    """The specs that may be meant, as the error names them; each must be a spec."""
    question = re.match(r"did you mean (.*?)\?", hint_of(text))
    named = re.findall(r"'([^']+)'", question[1]) if question else []
    assert all(str(parse_spec(each)) for each in named)
    return named


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("nf-4", ["nf4"]),
        ("NF4:double,skip=a+b", ["nf4:double,skip=a+b"]),
        ("nf4,double", ["nf4:double"]),
        ("nf4,", ["nf4"]),
        ("nf5", ["nf4"]),
        ("bnb-nf4", ["nf4"]),
        ("bnb:nf4", ["nf4"]),
        ("int-8", ["int8"]),
        ("bf-16", ["bf16"]),
        ("bfloat16", ["bf16"]),
        ("float32", ["fp32"]),
        ("int4", ["quanto:int4", "torchao:int4"]),
        ("4bit", ["gptq:4bit", "nf4", "quanto:int4", "rtn:4bit"]),
        ("8-bit", ["gptq:8bit", "int8", "quanto:int8", "rtn:8bit"]),
        ("3bit", ["gptq:3bit", "rtn:3bit", "hqq:3bit"]),
        ("fp8", ["quanto:float8", "torchao:float8"]),
        ("nvfp4", ["torchao:nvfp4"]),
        ("quanto-int4", ["quanto:int4"]),
        ("torch-ao:int8", ["torchao:int8"]),
        ("ruin-2bit", ["ruin:2bit"]),
        ("GPTQ:4bit", ["gptq:4bit"]),
        ("GPTQ:4BIT-G128", ["gptq:4bit-g128"]),
        ("gptq-4bit-128g", ["gptq:4bit-g128"]),
        ("rtn4bit,skip=a", ["rtn:4bit,skip=a"]),
        ("gptq:4bits-g128", ["gptq:4bit-g128"]),
        ("gptq:4bit-128", ["gptq:4bit-g128"]),
        ("gptq:4bit,g128", ["gptq:4bit-g128"]),
        ("rtn:4bit:g32,skip=a@org/name", ["rtn:4bit-g32,skip=a@org/name"]),
        ("rtn:4", ["rtn:4bit"]),
        ("rtn:skip=a", ["rtn:4bit-g64,skip=a"]),
        ("torchao:int4wo", ["torchao:int4"]),
        ("quanto:4bit", ["quanto:int4"]),
        ("quanto:qint8+kv:int8", ["quanto:int8+kv:int8"]),
        ("nf4+kv:8", ["nf4+kv:int8", "nf4+kv:fp8"]),
        ("nf4@org/name+kv:4", ["nf4@org/name+kv:int4"]),
        ("nf4+kv=int8", ["nf4+kv:int8"]),
        ("nf4 + KV = 8", ["nf4 +kv:int8"]),
        ("rtn:4bit+lora=PATH", ["rtn:4bit+lora:PATH"]),
        ("nf4:skip=a+lora=PATH", ["nf4:skip=a+lora:PATH"]),
        ("+lora=PATH", ["fp16+lora:PATH"]),
    ],
)
def test_a_misspelt_spec_is_told_the_nearest(text: str, specs: list[str]) -> None:
    assert meant(text) == specs


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("org/name", "stored@org/name"),
        ("org/name+kv:int8", "stored@org/name+kv:int8"),
        ("org/name:Q4_K_M", "stored@org/name"),
        ("./models/tiny", "stored@./models/tiny"),
        ("/models/tiny", "stored@/models/tiny"),
        ("tiny-Q4_K_M.gguf", "stored@tiny-Q4_K_M.gguf"),
        ("gguf:tiny-Q4_K_M.gguf", "stored@tiny-Q4_K_M.gguf"),
        ("awq:org/name", "stored@org/name"),
        ("gptq:org/name", "stored@org/name"),
        ("stored:org/name", "stored@org/name"),
        ("stored=org/name", "stored@org/name"),
        ("nf4:org/name", "nf4@org/name"),
        ("smollm2", "stored@smollm2"),
    ],
)
def test_a_model_alone_is_told_where_models_stand(text: str, spec: str) -> None:
    assert meant(text) == [spec]


def test_a_folder_that_is_there_is_a_model_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert meant("distilled") == []
    (tmp_path / "distilled").mkdir()
    assert meant("distilled") == ["stored@distilled"]
    (tmp_path / "NF4").mkdir()
    assert meant("NF4") == ["nf4"]


@pytest.mark.parametrize("text", ["q4_k_m", "Q4_K_M", "Q8_0", "IQ2_XXS", "q4"])
def test_a_type_of_gguf_files_is_told_that_a_file_is_named(text: str) -> None:
    assert hint_of(text) == "this is a type of GGUF files, which are made elsewhere: name the file, stored@FILE.gguf"


@pytest.mark.parametrize("text", ["awq", "AWQ", "compressed-tensors", "w4a16", "mxfp4", "gguf", "awq:4bit"])
def test_what_is_made_elsewhere_is_told_that_a_checkpoint_is_named(text: str) -> None:
    assert "made elsewhere: name the checkpoint, stored@FOLDER" in hint_of(text)


@pytest.mark.parametrize("text", ["", "zzz", "llama", "+kv:int8", "???", "x" * 10_000])
def test_where_nothing_is_near_it_is_told_how_a_spec_is_written(text: str) -> None:
    hint = hint_of(text)
    assert "NAME[:SCHEME][,OPTION...][@MODEL][+kv:SCHEME][+lora:FOLDER]" in hint
    assert len(hint) < 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rtn:9bit", "for example rtn:4bit-g64: bits are 2 to 8, and -gG groups of 10 to 99,999 weights"),
        ("rtn:4bit-g0", "groups of 10 to 99,999 weights"),
        ("rtn:4bit-g7", "groups of 10 to 99,999 weights"),
        ("rtn:4bit-g100000", "groups of 10 to 99,999 weights"),
        ("rtn:4bit-g64-g32", "groups of 10 to 99,999 weights"),
        ("gptq:4bit,g7", "groups of 10 to 99,999 weights"),
        ("rtn", "bits are 2 to 8"),
        ("gptq:5bit", "bits are 2, 3, 4 or 8"),
        ("gptq:3bit-g-1", "10 to 99,999 weights; a whole row, elsewhere -1, is written as its number of weights"),
        (f"gptq:{'4' * 5000}bit", "bits are 2, 3, 4 or 8"),
    ],
)
def test_bits_and_groups_have_their_ranges_told(text: str, told: str) -> None:
    assert told in hint_of(text)
    assert meant(text) == []


@pytest.mark.parametrize("text", ["quanto:3bit", "nf4+kv:9"])
def test_other_numbers_are_not_taken_for_near(text: str) -> None:
    assert "int2, int4, int8" in hint_of(text)
    assert meant(text) == []


def test_what_stands_behind_a_spec_is_not_an_option() -> None:
    assert hint_of("nf4:kv=int8") == "it stands behind the whole spec: +kv:int8"
    assert hint_of("nf4:double,lora=x") == "it stands behind the whole spec: +lora:FOLDER"


def test_specs_of_other_plugins_are_among_the_nearest() -> None:
    target = "pytest_quantgate.variants.plain:BACKEND"
    register("kmeans", Entry(target, scheme=Scheme("wide|narrow", "wide", known=("wide", "narrow"))))
    register("loose", Entry(target, scheme=Scheme(r"\d+x", "4x")))
    try:
        assert meant("k-means:wide") == ["kmeans:wide"]
        assert meant("kmeans:wid") == ["kmeans:wide"]
        assert meant("narow") == ["kmeans:narrow"]
        assert hint_of("loose:x") == "for example loose:4x"
    finally:
        unregister("kmeans")
        unregister("loose")


WORDS = (
    "nf4",
    "NF",
    "int",
    "8",
    "4bit",
    "-g128",
    "gptq",
    "rtn:",
    "quanto",
    "q4_k",
    "awq",
    "kv=",
    "lora",
    "org/a",
    "fp",
)


@given(st.lists(st.sampled_from((*WORDS, *",+@:;=a .-")), max_size=8).map("".join))
def test_whatever_is_written_there_is_a_hint_and_it_is_another_spec(text: str) -> None:
    hints: dict[str, str | None] = {}
    for each in split_specs(text):
        try:
            parse_spec(each)
        except SpecError as error:
            hints[each] = error.hint
    assert all(hint and f"did you mean {each!r}?" not in hint for each, hint in hints.items())
