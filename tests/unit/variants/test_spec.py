from __future__ import annotations

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


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nf5", "did you mean 'nf4'?"),
        ("NF4", "did you mean 'nf4'?"),
        ("", "known: bf16, fp16, fp32, fp4, int8, nf4, ruin"),
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
    ],
)
def test_what_is_wrong_is_said_with_the_nearest_spec(text: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert part in str(caught.value)


@given(st.text(alphabet="nf4p8int:=,+.double skip_", max_size=30))
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
    ]
)


@given(st.lists(CANONICAL, min_size=1, max_size=6))
def test_specs_that_were_joined_come_apart_again(specs: list[str]) -> None:
    assert split_specs(",".join(specs)) == specs


@given(st.text(alphabet="nf4p8int:=,+.double skip_", max_size=30))
def test_any_text_is_taken_apart_without_losing_anything(text: str) -> None:
    def bare(written: str) -> str:
        return written.replace(" ", "")

    assert bare(",".join(split_specs(text))) == bare(text)
