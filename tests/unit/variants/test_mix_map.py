from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_quantgate.errors import FileError, SpecError
from pytest_quantgate.variants.mix_map import MOST_RULES, read_map
from pytest_quantgate.variants.modules import matches

HEAD = "lm_head"
LAYERS = [
    f"model.layers.{layer}.{name}"
    for layer in (0, 1, 10)
    for name in ("self_attn.q_proj", "mlp.up_proj", "mlp.down_proj")
]
MODULES = [*LAYERS, HEAD]


def resolved(text: str) -> dict[str, str]:
    return {name: str(spec) for name, spec in read_map(text).resolve(MODULES, HEAD, "variant 'mix'").items()}


@pytest.mark.parametrize(
    ("pattern", "module", "expected"),
    [
        ("*", LAYERS[0], True),
        ("down_proj", LAYERS[2], True),
        ("layers.1", "model.layers.10.mlp.up_proj", False),
        ("layers.1*", "model.layers.10.mlp.up_proj", True),
        ("layers.*.mlp", "model.layers.10.mlp.up_proj", True),
        ("layers.*.up_proj", "model.layers.10.mlp.up_proj", False),  # one name between two dots
        ("q_*", LAYERS[0], True),
        ("*_proj", LAYERS[0], True),
        ("attn.*", LAYERS[0], True),  # as in skip=, a name is found by its end
        ("self_*.q", LAYERS[0], False),
        ("model.layers.0.self_attn.q_proj.*", LAYERS[0], False),
        ("lm_*", HEAD, True),
    ],
)
def test_a_star_is_any_part_of_one_name(pattern: str, module: str, expected: bool) -> None:  # noqa: FBT001  (a fact of the table)
    assert matches(pattern, module) == expected


def test_many_stars_take_no_time() -> None:
    assert not matches("*a" * 90, "a" * 89)


def test_the_first_pattern_that_matches_decides_and_the_rest_is_left() -> None:
    found = resolved("layers.0=fp16; down_proj=int8; mlp=nf4:double")
    assert found == {
        LAYERS[0]: "fp16",
        LAYERS[1]: "fp16",
        LAYERS[2]: "fp16",
        LAYERS[4]: "nf4:double",
        LAYERS[5]: "int8",
        LAYERS[7]: "nf4:double",
        LAYERS[8]: "int8",
    }


def test_a_star_alone_means_all_but_the_output_head() -> None:
    assert set(resolved("*=nf4")) == set(LAYERS)
    assert set(resolved("lm_head=int8;*=nf4")) == set(MODULES)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_file_says_the_same_as_the_spec(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"map.{suffix}"
    rules = {"down_proj": "int8", "layers.*.self_attn": "nf4:double", "*": "rtn:3bit-g32"}
    text = json.dumps(rules) if suffix == "json" else "".join(f"'{key}': {value}\n" for key, value in rules.items())
    path.write_text(text)
    inline = "down_proj=int8;layers.*.self_attn=nf4:double;*=rtn:3bit-g32"
    assert str(read_map(str(path))) == str(read_map(inline)) == inline


def test_a_part_that_has_a_model_stands_between_parentheses_in_a_spec_and_may_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("lm_head: fp16\nlayers.0: (nf4@org/other)\n'*': stored@org/name\n")
    inline = "lm_head=fp16;layers.0=(nf4@org/other);*=(stored@org/name)"
    assert str(read_map(str(path))) == str(read_map(inline)) == inline
    assert read_map(inline).models == ("org/other", "org/name")
    assert resolved(inline)[LAYERS[3]] == "stored@org/name"
    assert read_map("*=(nf4)") == read_map("*=nf4")


def test_a_model_in_a_file_is_seen_from_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps" / "made").mkdir(parents=True)
    named = ["made", "./made", "../up", "./gone", "x.gguf", "org/name", "smollm2", "/gone", "~/x"]
    Path("maps/map.json").write_text(json.dumps({f"a{number}": f"stored@{name}" for number, name in enumerate(named)}))
    assert read_map("maps/map.json").models == (
        "maps/made",
        "./up",
        "./maps/gone",
        "maps/x.gguf",
        "org/name",
        "smollm2",
        "/gone",
        "~/x",
    )
    assert read_map("a=(stored@made)").models == ("made",)


def test_an_absolute_path_may_have_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "build=1" / "map.json"
    path.parent.mkdir()
    path.write_text('{"down_proj": "int8"}')
    assert str(read_map(str(path))) == "down_proj=int8"


def test_everything_wrong_with_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(
        "down_proj: nf5\nup_proj: 4\nq proj: nf4\nk_proj: nf4:skip=v_proj\nv_proj: nf4@\nv_proj: nf4\n"
        "o_proj: mix:a=nf4\ngate: fp16+kv:int8\nhead: http://localhost:1/v1#m\nlast: nf4+lora:x\n"
    )
    with pytest.raises(FileError) as caught:
        read_map(str(path))
    problems = {problem.line: problem.message for problem in caught.value.problems}
    assert str(path) in str(caught.value)
    behind = "; +kv: and +lora: stand behind the whole mix"
    above = "; give what stays as it is a pattern of its own above this one: v_proj=fp16"
    assert problems == {
        1: "down_proj: is not a known variant ('nf5'); did you mean 'nf4'?",
        2: "the spec of 'up_proj' must be text, not the number 4: quote it",
        3: "'q proj' is no pattern of module names; for example down_proj=int8;*=nf4",
        4: f"k_proj: skip= has no place in a mix ('nf4:skip=v_proj'){above}",
        5: "v_proj: a model is missing after '@' ('nf4@'); for example nf4@org/name",
        6: "duplicate key 'v_proj' (first on line 5)",
        7: f"o_proj: a mix cannot be part of a mix ('mix:a=nf4'){behind}",
        8: f"gate: quantized keys and values cannot be part of a mix ('fp16+kv:int8'){behind}",
        9: f"head: a served model cannot be part of a mix ('http://localhost:1/v1#m'){behind}",
        10: f"last: an adapter cannot be part of a mix ('nf4+lora:x'){behind}",
    }


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("- nf4\n", "must be a mapping of module patterns to specs, not a list"),
        ("", "must be a mapping of module patterns to specs, not nothing"),
        ("{}", "from 1 to 1,000 patterns, not 0"),
        ("".join(f"a{number}: nf4\n" for number in range(MOST_RULES + 1)), "from 1 to 1,000 patterns, not 1,001"),
        ("a: nf4\n*: nf4\n", "map.yaml:2: a pattern that begins with '*' must be quoted"),
        ("a: nf4\n\n *_proj: nf4\n", "map.yaml:3: a pattern that begins with '*' must be quoted"),
        ("a: !!python/object:os.system nf4\n", "tags"),
        ("a: [\n", "bad YAML"),
        ("a: nf4\x07\n", "U+0007"),
    ],
)
def test_a_file_that_is_no_map_is_refused(tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(content)
    with pytest.raises(FileError) as caught:
        read_map(str(path))
    assert part in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no such file\n  a map that stands in the spec has equals signs, for example"):
        read_map(str(tmp_path / "none.yaml"))
    with pytest.raises(FileError, match=r"down_proj:nf4:1: no such file\n  .* has equals signs"):
        read_map("down_proj:nf4")
    with pytest.raises(FileError, match="not a regular file"):
        read_map(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a=nf4;b", "'b' gives no pattern its spec"),
        ("a=nf4; c", "'c' gives no pattern its spec\n  for example down_proj=int8"),
        ("a=nf4;b:int8", "'b:int8' gives no pattern its spec\n  did you mean 'b=int8'"),
        ("a=nf4;", "a part of the map is empty\n  leave out a semicolon"),
        (";a=nf4", "a part of the map is empty"),
        ("a=nf4; ;b=int8", "a part of the map is empty"),
        (
            "a=(nf4",
            r"a: a parenthesis is not closed \('\(nf4'\)\n  a part that has a model .*: down_proj=\(stored@MODEL",
        ),
        ("a=nf4)", r"a: a parenthesis is not opened \('nf4\)'\)"),
        ("a=nf4;b=4bit", r"b: is not a known variant \('4bit'\)\n  did you mean .*'nf4'"),
        ("a=nf4;a=int8", "the pattern 'a' is there twice"),
        ("=nf4", "'' is no pattern"),
        ("a[0]=nf4", r"'a\[0\]' is no pattern"),
        ("a=", "a variant is missing"),
        ("a=()", "a variant is missing"),
        ("a=(mix:b=nf4)", "a mix cannot be part of a mix"),
        ("a=(stored@)", "a model is missing after '@'"),
        (f"{'a' * 201}=nf4", "is no pattern"),
    ],
)
def test_a_wrong_rule_in_a_spec_is_told(text: str, part: str) -> None:
    with pytest.raises(SpecError, match=part):
        read_map(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("downproj=nf4", "no linear layer 'downproj'\n.*did you mean 'down_proj'"),
        ("layers.3=nf4;*=int8", "no linear layer 'layers.3'"),
        ("zzz=nf4", "no linear layer 'zzz'\n.*known: down_proj, layers, lm_head, mlp, model"),
        ("q_*=fp16;mlp=nf4;down_proj=int8", "'down_proj' matches nothing .* patterns above it .* already: 'mlp'\n"),
        ("q_*=fp16;mlp=nf4;layers.0.*=nf4", r"'layers.0.\*' matches nothing .* already: 'q_\*', 'mlp'\n"),
        ("embed_tokens=nf4", "no linear layer 'embed_tokens'"),
    ],
)
def test_a_pattern_that_decides_nothing_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        resolved(text)


@pytest.mark.parametrize(
    ("rules", "line"),
    [("up_proj: nf4\n\n# the others\ndownproj: int8\n", 4), ("mlp: nf4\nq_proj: int8\ndown_proj: int8\n", 3)],
)
def test_a_pattern_of_a_file_that_decides_nothing_is_told_with_its_line(tmp_path: Path, rules: str, line: int) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(rules)
    with pytest.raises(SpecError) as caught:
        resolved(str(path))
    assert caught.value.where == f"{path}:{line}"
