from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantgate.errors import SpecError
from pytest_quantgate.variants.spec import VariantSpec, parse_spec, split_specs


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "nf4", "fp4", "int8"])
def test_a_name_alone_is_a_spec(name: str) -> None:
    assert parse_spec(name) == VariantSpec(name)
    assert str(parse_spec(name)) == name


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("nf4:double", "nf4:double"),
        (" nf4 : double ", "nf4:double"),
        ("nf4:skip=lm_head", "nf4:skip=lm_head"),
        ("nf4:skip=b+a+a,double", "nf4:double,skip=a+b"),
        ("int8:skip=model.layers.0", "int8:skip=model.layers.0"),
        ("rtn:4bit", "rtn:4bit-g64"),
        ("gptq:4bit", "gptq:4bit-g128"),
        (" rtn : 3bit-g32 , skip = b+a ", "rtn:3bit-g32,skip=a+b"),
        ("quanto:int4", "quanto:int4"),
        ("torchao:int8-dynamic,skip=lm_head", "torchao:int8-dynamic,skip=lm_head"),
        ("nf4 @ org/name", "nf4@org/name"),
        ("stored@models/tiny-Q4_K_M.gguf", "stored@models/tiny-Q4_K_M.gguf"),
        ("nf4:double@org/name+lora:adapters/one+kv:int8", "nf4:double@org/name+kv:int8+lora:adapters/one"),
        ("fp16 +kv: int4", "fp16+kv:int4"),
        ("mix:map.yaml@org/name", "mix:map.yaml@org/name"),
        ("mix:lm_head=int8;*=nf4+kv:int8", "mix:lm_head=int8;*=nf4+kv:int8"),
        ("mix:lm_head=fp16;*=(stored@a/b.gguf)", "mix:lm_head=fp16;*=(stored@a/b.gguf)"),
        ("mix: *=( stored@x ) @ org/name +kv:int8", "mix:*=( stored@x )@org/name+kv:int8"),
        ("http://localhost:8000/v1#org/name", "http://localhost:8000/v1#org/name"),
    ],
)
def test_equal_specs_have_one_canonical_text(text: str, canonical: str) -> None:
    assert str(parse_spec(text)) == canonical
    assert parse_spec(canonical) == parse_spec(text)


def test_options_are_read_by_name() -> None:
    spec = parse_spec("nf4:double,skip=lm_head+model.layers.0")
    assert spec.has("double")
    assert spec.names("skip") == ("lm_head", "model.layers.0")
    assert not parse_spec("nf4").has("double")
    assert parse_spec("nf4").names("skip") == ()


def test_what_is_added_to_a_name_is_read() -> None:
    spec = parse_spec("rtn:3bit-g32,skip=fc1@my/model+kv:int4+lora:adapter")
    assert spec == VariantSpec("rtn", (("skip", "fc1"),), "3bit-g32", "my/model", "int4", "adapter")
    assert not spec.served
    assert spec.names("skip") == ("fc1",)


def test_a_path_may_hold_what_options_are_made_of() -> None:
    assert parse_spec("stored@a+b/c,d:e.gguf").model == "a+b/c,d:e.gguf"
    assert parse_spec("nf4+lora:a@b/c+d").lora == "a@b/c+d"


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("mix:down_proj=int8;*=nf4@org/name", "org/name"),
        ("mix:*=(stored@org/name)", None),
        ("mix:*=(stored@models (1)/a)", None),
        ("mix:down_proj=(stored@a);*=nf4", None),
        ("mix:down_proj=(stored@a);*=(nf4@b) @org/name", "org/name"),
        ("stored@a=(b@c)", "a=(b@c)"),
    ],
)
def test_a_model_between_parentheses_is_that_of_a_part_and_not_of_the_whole(text: str, model: str | None) -> None:
    assert parse_spec(text).model == model


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("mix:map.yaml+kv:int8", "mix:{folder}/map.yaml+kv:int8"),
        ("mix:*=nf4", "mix:*=nf4"),
        ("mix:q_proj=nf4;*=(stored@models/tiny)", "mix:q_proj=nf4;*=(stored@{folder}/models/tiny)"),
        ("mix:*=(stored@org/name)@models/tiny", "mix:*=(stored@org/name)@{folder}/models/tiny"),
        ("nf4@models/tiny", "nf4@{folder}/models/tiny"),
        ("nf4@org/name", "nf4@org/name"),
        ("nf4@smollm2", "nf4@smollm2"),
        ("stored@../gone.GGUF", "stored@{above}/gone.GGUF"),
        ("stored@./gone", "stored@{folder}/gone"),
        ("stored@/models/tiny", "stored@/models/tiny"),
        ("nf4@models/tiny+lora:adapter", "nf4@{folder}/models/tiny+lora:{folder}/adapter"),
        ("fp16+lora:/adapter", "fp16+lora:/adapter"),
        ("fp16+lora:~/adapter", "fp16+lora:~/adapter"),
        ("http://127.0.0.1:8000/v1#models/tiny", "http://127.0.0.1:8000/v1#models/tiny"),
    ],
)
def test_paths_are_seen_from_a_folder_and_the_text_stays(tmp_path: Path, text: str, here: str) -> None:
    for name in ("models/tiny", "smollm2"):
        (tmp_path / name).mkdir(parents=True)
    spec = replace(parse_spec(text), folder=tmp_path)
    assert str(spec) == text
    assert spec == parse_spec(text) == parse_spec(text).here
    assert str(spec.here) == here.format(folder=tmp_path, above=tmp_path.parent)


def test_a_server_is_its_address() -> None:
    spec = parse_spec("http://127.0.0.1:8000/v1#org/name@main")
    assert spec.served
    assert spec.scheme == str(spec) == "http://127.0.0.1:8000/v1#org/name@main"
    assert parse_spec("HTTPS://host/v1#m".lower()).name == "https"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nf5", "did you mean 'nf4'?"),
        ("NF4", "did you mean 'nf4'?"),
        ("", "known: bf16, fp16, fp32, fp4, gptq, hqq, int8, mix, nf4, quanto, rtn, ruin, stored, torchao"),
        ("zzz", "known: bf16"),
        ("nf4:dubble", "did you mean 'double'?"),
        ("nf4:double=1", "takes no value"),
        ("nf4:double,double", "given twice"),
        ("nf4:", "an option is missing"),
        ("nf4:double,", "an option is missing"),
        ("nf4:skip", "needs module names"),
        ("nf4:skip=", "needs module names"),
        ("nf4:skip=a++b", "needs module names"),
        ("nf4:skip=.*", "needs module names, not '.*'"),
        ("int8:double", "not an option of int8"),
        ("fp16:double", "write 'fp16' alone"),
        ("rtn", "rtn needs a scheme\n  for example rtn:4bit-g64"),
        ("rtn:", "rtn needs a scheme"),
        ("rtn:9bit", "'9bit' is not a scheme of rtn\n  for example rtn:4bit-g64: bits are 2 to 8"),
        ("rtn:1bit", "is not a scheme"),
        ("rtn:4bit-g0", "is not a scheme"),
        ("rtn:4bit-g8", "is not a scheme"),
        ("rtn:4bit-g100000", "is not a scheme"),
        ("rtn:skip=a", "'skip=a' is not a scheme of rtn"),
        ("rtn:4bit,3bit", "'3bit' is not an option of rtn"),
        ("quanto:in4", "'in4' is not a scheme of quanto\n  did you mean 'quanto:int4'?"),
        ("quanto:zzz", "known: float8, int2, int4, int8"),
        ("torchao:int8-dynamc", "did you mean 'torchao:int8-dynamic'?"),
        ("quanto:int4,skp=a", "did you mean 'skip'?"),
        ("mix", "a map of modules is missing"),
        ("nf4@", "a model is missing after '@'\n  for example nf4@org/name"),
        ("nf4+kv:int3", "cannot be quantized to 'int3'\n  did you mean 'nf4+kv:int"),
        ("nf4+kv:", "something is missing after +kv:\n  write nf4+kv:int8"),
        ("nf4+kv:int8+kv:int4", "+kv: is given twice"),
        ("nf4+lora:", "something is missing after +lora:\n  write nf4+lora:FOLDER"),
        ("@org/name", "a variant is missing"),
        ("+kv:int8", "a variant is missing"),
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_spec(text: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert part in str(caught.value)


WORDS = ("nf4", "rtn:", "4bit", "-g64", "quanto:int4", "mix:", "stored", "skip=", "double", "kv:int8", "lora:", "org/a")
PIECES = st.sampled_from((*WORDS, *",+@:;=a .()"))
WRITTEN = st.text(alphabet="nf4p8int:=,+.double skip_", max_size=30) | st.lists(PIECES, max_size=9).map("".join)


@given(WRITTEN)
def test_any_text_is_a_spec_or_an_error_and_specs_survive_their_text(text: str) -> None:
    try:
        spec = parse_spec(text)
    except SpecError:
        return
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("int8", ["int8"]),
        ("int8,nf4:double,skip=lm_head,ruin:2bit", ["int8", "nf4:double,skip=lm_head", "ruin:2bit"]),
        (" int8 , nf4 : skip = a+b , double , fp4 ", ["int8", "nf4 : skip = a+b , double", "fp4"]),
        ("nf4:double,nf4", ["nf4:double", "nf4"]),
        ("int8,int8", ["int8", "int8"]),
        # what no spec can be is left for parse_spec to name
        ("nf5,int8", ["nf5", "int8"]),
        ("int8,nf5", ["int8", "nf5"]),
        ("nf4:double,nf5:double", ["nf4:double", "nf5:double"]),
        ("nf4:double,dubble", ["nf4:double,dubble"]),
        ("int8,", ["int8", ""]),
        ("", [""]),
        ("rtn:4bit,skip=a,quanto:int4", ["rtn:4bit,skip=a", "quanto:int4"]),
        ("nf4@org/name,int8", ["nf4@org/name", "int8"]),
        ("fp16+kv:int8,nf4+kv:int4", ["fp16+kv:int8", "nf4+kv:int4"]),
        ("int8@a/b,stored@c.gguf+kv:int8", ["int8@a/b", "stored@c.gguf+kv:int8"]),
        ("nf4,http://localhost:8000/v1#org/name", ["nf4", "http://localhost:8000/v1#org/name"]),
        ("mix:a=nf4:double,skip=b;c=int8,fp16", ["mix:a=nf4:double,skip=b;c=int8", "fp16"]),
        ("mix:lm_head=fp16;*=(stored@a,b/c),stored@d", ["mix:lm_head=fp16;*=(stored@a,b/c)", "stored@d"]),
        ("nf4:skip=a,double+kv:int8,int8+kv:fp8", ["nf4:skip=a,double+kv:int8", "int8+kv:fp8"]),
        ("stored@a,b+lora:p,rtn:4bit", ["stored@a,b+lora:p", "rtn:4bit"]),
    ],
)
def test_a_list_of_specs_is_taken_apart(text: str, specs: list[str]) -> None:
    assert split_specs(text) == specs


CANONICAL = st.sampled_from(
    [
        "fp16",
        "int8",
        "nf4",
        "nf4:double",
        "nf4:double,skip=a+model.layers.0",
        "int8:skip=nf4",
        "fp4:skip=int8",
        "ruin:2bit",
        "rtn:3bit-g64,skip=a",
        "quanto:int4@org/name",
        "torchao:int8-dynamic+kv:int8",
        "stored@model-Q4_K_M.gguf+lora:adapter",
        "mix:a=nf4:double,skip=b;c=int8",
        "mix:lm_head=fp16;*=(stored@org/name)",
        "http://localhost:8000/v1#org/name",
    ]
)


@given(st.lists(CANONICAL, min_size=1, max_size=6))
def test_specs_that_were_joined_come_apart_again(specs: list[str]) -> None:
    assert split_specs(",".join(specs)) == specs


@given(WRITTEN)
def test_any_text_is_taken_apart_without_losing_anything(text: str) -> None:
    def bare(written: str) -> str:
        return written.replace(" ", "")

    assert bare(",".join(split_specs(text))) == bare(text)
