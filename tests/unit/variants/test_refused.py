"""What cannot run on a machine, with its libraries or with a model's shapes is refused, and the error says what can."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.quantizers.quantizer_hqq import HqqHfQuantizer

from pytest_quantgate.errors import ModelError, SpecError
from pytest_quantgate.variants import device, hqq, loading, modules, registry, torchao, torchao_loading, variant
from pytest_quantgate.variants.device import Placement
from pytest_quantgate.variants.rtn import check_shapes
from pytest_quantgate.variants.source import resolve_model
from pytest_quantgate.variants.spec import parse_spec
from pytest_quantgate.variants.variant import Variant, load_variant, prepare_variant

LINEAR_LAYERS = 14
ON_CUDA = Placement("cuda:0", "bfloat16", "native")


def prepared(folder: Path, spec: str) -> Variant:
    return prepare_variant(spec, resolve_model(str(folder)), device="cpu")


def test_a_group_must_divide_the_rows(pristine: Path) -> None:
    with pytest.raises(
        SpecError, match=r"_proj does not fit: \d+ columns .* groups of 48\n.*the rows of every layer, such as g64"
    ):
        prepared(pristine, "rtn:4bit-g48")
    assert prepared(pristine, "rtn:4bit-g64")


def test_a_group_is_checked_when_loading_where_the_files_do_not_tell(
    pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "modules_of", lambda _: frozenset())
    with pytest.raises(SpecError, match="q_proj does not fit: 64 columns cannot be cut into groups of 48"):
        load_variant(prepared(pristine, "rtn:4bit-g48"))


def test_the_levels_of_a_layer_must_fill_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"hidden_size": 20, "intermediate_size": 20, "head_dim": 10}
    network: Any = LlamaForCausalLM(LlamaConfig(**json.loads((folder / "config.json").read_text()) | changes))
    network.half().save_pretrained(folder)
    error = r"_proj does not fit: \d+ weights of 3 bits do not fill whole words\n.*skip=\w+_proj"
    with pytest.raises(SpecError, match=error):
        prepared(folder, "rtn:3bit-g10")
    assert prepared(folder, "rtn:8bit-g10")
    monkeypatch.setattr(modules, "modules_of", lambda _: frozenset())  # where the files do not tell
    with pytest.raises(SpecError, match=error):
        load_variant(prepared(folder, "rtn:3bit-g10"))


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        ((64, 128), "such as g64"),
        ((192, 320), "such as g64"),
        ((40, 120), "such as g40"),
        ((64, 100), "no group fits every layer: use nf4"),
    ],
)
def test_a_group_that_is_named_fits_every_layer(columns: tuple[int, ...], hint: str) -> None:
    with pytest.raises(SpecError, match=hint):
        check_shapes(parse_spec("rtn:4bit-g77"), {f"layer{number}": (64, each) for number, each in enumerate(columns)})


@pytest.mark.parametrize("spec", ["torchao:int4", "torchao:float8-dynamic"])
def test_what_runs_on_cuda_only_is_refused_on_a_cpu_with_what_runs_there(pristine: Path, spec: str) -> None:
    with pytest.raises(
        SpecError,
        match=r"only those for CUDA are used, and the device is a CPU\n.*torchao:int8, torchao:float8, torchao:nvfp4",
    ):
        prepared(pristine, spec)


@pytest.mark.parametrize(
    ("spec", "has", "needed"), [("torchao:int4", (7, 5), "8.0"), ("torchao:float8-dynamic", (8, 6), "8.9")]
)
def test_a_gpu_that_is_too_old_is_refused(
    pristine: Path, monkeypatch: pytest.MonkeyPatch, spec: str, has: tuple[int, int], needed: str
) -> None:
    monkeypatch.setattr(torchao, "compute_capability", lambda _: has)
    with pytest.raises(
        SpecError, match=rf"need compute capability {needed}, and cuda:0 has {has[0]}\.{has[1]}\n.*what needs no such"
    ):
        registry.check_here(parse_spec(spec), pristine, ON_CUDA)


@pytest.mark.parametrize(
    ("spec", "has"),
    [
        ("torchao:int4,skip=self_attn+gate_proj+up_proj", (8, 0)),
        ("torchao:float8-dynamic", (8, 9)),
        ("torchao:float8-dynamic", (10, 0)),
        ("torchao:float8-dynamic", None),  # the driver does not say
        ("torchao:int8", (7, 5)),
    ],
)
def test_a_gpu_that_can_do_it_is_not_refused(
    pristine: Path, monkeypatch: pytest.MonkeyPatch, spec: str, has: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(device, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(torchao, "compute_capability", lambda _: has)
    assert prepare_variant(spec, resolve_model(str(pristine)), device="cuda").placement.device == "cuda:0"


@pytest.fixture
def odd(folder: Path) -> Path:
    """The tiny checkpoint with rows of 40 columns."""
    config = json.loads((folder / "config.json").read_text()) | {"hidden_size": 40, "intermediate_size": 64}
    network: Any = LlamaForCausalLM(LlamaConfig(**config))
    network.half().save_pretrained(folder)
    return folder


def test_layers_that_torchao_cannot_cut_are_refused(odd: Path) -> None:
    with pytest.raises(
        SpecError, match=r"_proj has 40 columns, .* multiple of 16\n.*use torchao:int8, .* skip=\w+_proj"
    ):
        prepared(odd, "torchao:nvfp4")
    prepared(odd, "torchao:nvfp4,skip=self_attn+gate_proj+up_proj")
    assert load_variant(prepared(odd, "quanto:int4")).audit.modules_replaced == LINEAR_LAYERS  # whole rows


def test_layers_that_torchao_would_leave_as_they_are_are_refused(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchao, "compute_capability", lambda _: None)
    refusing: list[Callable[..., object]] = [registry.check_here, torchao_loading.load]
    spec = parse_spec("torchao:int4,skip=self_attn+gate_proj+up_proj")
    for refuse in refusing:
        with pytest.raises(SpecError, match="down_proj has 64 columns, which are not a multiple of 128"):
            refuse(spec, odd, ON_CUDA)


def test_hqq_is_refused_for_as_long_as_transformers_refuses_it(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"transformers 5\.\d+\.\S+ does not quantize with HQQ\n.*use rtn:4bit-g64"):
        prepared(pristine, "hqq:4bit")
    versions = {"transformers": "5.24.0.dev0"}
    monkeypatch.setattr(hqq, "version_of", lambda name: versions.get(name, "none"))
    with pytest.raises(SpecError, match=r"hqq is not installed\n  pip install hqq"):
        prepared(pristine, "hqq:4bit")
    versions["hqq"] = "0.1.0"
    newer = prepared(pristine, "hqq:4bit")
    with pytest.raises(SpecError, match=r"does not quantize with HQQ: hqq is not .*\n.*use rtn:4bit-g64"):
        load_variant(newer)
    monkeypatch.setattr(HqqHfQuantizer, "get_quantize_ops", lambda _: object())
    with pytest.raises(SpecError, match=r"hqq is too old\n  pip install --upgrade hqq"):
        load_variant(newer)


def test_what_a_quantizer_fails_at_is_not_blamed_on_the_files(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(loading, "_AUTO_MODEL", SimpleNamespace(from_pretrained=fail))
    with pytest.raises(ModelError, match=r"does not load: no such kernel\n  try fp16: if that loads, the files are"):
        load_variant(prepared(pristine, "nf4"))
    with pytest.raises(ModelError, match=r"does not load: no such kernel\n  check that its config\.json belongs"):
        load_variant(prepared(pristine, "fp16"))


def test_what_cannot_run_here_is_known_without_torch(pristine: Path) -> None:
    specs = ["torchao:int4", "torchao:nvfp4", "rtn:4bit-g48", "hqq:4bit", "mix:*=torchao:float8-dynamic"]
    program = (
        "import sys\n"
        "from pytest_quantgate.errors import SpecError\n"
        "from pytest_quantgate.variants.source import resolve_model\n"
        "from pytest_quantgate.variants.variant import prepare_variant\n"
        "source = resolve_model(sys.argv[1])\n"
        "refused = []\n"
        "for spec in sys.argv[2:]:\n"
        "    try:\n"
        "        prepare_variant(spec, source, device='cpu')\n"
        "    except SpecError:\n"
        "        refused.append(spec)\n"
        "print(*refused)\n"
        "sys.exit(bool({'torch', 'transformers', 'torchao'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(pristine), *specs], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().split() == [spec for spec in specs if spec != "torchao:nvfp4"]


@pytest.mark.parametrize(("spec", "library"), [("quanto:int4", "optimum-quanto"), ("torchao:int8", "torchao")])
def test_a_missing_library_has_its_install_line(
    pristine: Path, monkeypatch: pytest.MonkeyPatch, spec: str, library: str
) -> None:
    monkeypatch.setattr(variant, "find_spec", lambda _: None)
    with pytest.raises(SpecError, match=rf"{library} is not installed\n  pip install {library}"):
        prepared(pristine, spec)
    assert prepared(pristine, "rtn:4bit")
