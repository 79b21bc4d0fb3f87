"""How our GPTQ compares with gptqmodel's: layers that both round, and a checkpoint of ours that both load.

    pip install --no-deps gptqmodel==7.7.0 device-smi pypcre tokenicer logbar defuser protobuf
    python benchmarks/gptq_agreement.py
    python benchmarks/gptq_agreement.py --checkpoint FOLDER

Install it in an environment of its own: gptqmodel asks for a newer torch than it needs here. Without ``--checkpoint``
random layers with correlated inputs are rounded by both, without act-order and with the same damping. With it, the
weights that gptqmodel's kernel unpacks from a 4-bit checkpoint of ours (one of the folders in ``gptq`` below the cache
folder) are compared with those that we do.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytest_quantgate.variants.gptq_solver import DAMPING, Hessian, solve
from pytest_quantgate.variants.packed_loading import PackedLinear, Packing, load_packed
from pytest_quantgate.variants.rounding import round_to_nearest

INPUTS, OUTPUTS = 256, 192
SAMPLES = 4096
CLOSE = 1e-4


def main() -> None:
    """Parse the command line and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="a 4-bit checkpoint of ours, instead of random layers")
    chosen = parser.parse_args()
    with torch.no_grad():
        if chosen.checkpoint:
            compare_loading(chosen.checkpoint)
        else:
            compare_rounding()


def compare_rounding() -> None:
    """Output error of a layer that both round, and how many of its weights are the same."""
    chance = torch.Generator().manual_seed(0)
    weight = torch.rand(OUTPUTS, INPUTS, generator=chance) * 0.125 - 0.0625
    mixing = torch.eye(INPUTS) + 0.1 * torch.randn(INPUTS, INPUTS, generator=chance)
    inputs = torch.randn(SAMPLES, INPUTS, generator=chance) @ mixing
    hessian = Hessian(INPUTS, inputs.device)
    hessian.add(inputs)

    def error(rounded: torch.Tensor) -> float:
        return float((inputs @ (weight - rounded).T).square().mean())

    print("bits  group  same weights  error: ours  gptqmodel  round-to-nearest")
    for bits in (8, 4, 3, 2):
        for group in (64, 128, INPUTS):
            ours = solve(weight, hessian.mean, bits, group).weight
            theirs = _theirs(weight, inputs, bits, group)
            same = float((ours - theirs).abs().lt(CLOSE).float().mean())
            nearest = round_to_nearest(weight, bits, group)
            print(
                f"{bits:4}  {group:5}  {same:12.1%}  {error(ours):11.3g}  {error(theirs):9.3g}  {error(nearest):16.3g}"
            )


def _theirs(weight: torch.Tensor, inputs: torch.Tensor, bits: int, group: int) -> torch.Tensor:
    from gptqmodel import QuantizeConfig
    from gptqmodel.quantization import FORMAT, GPTQ, METHOD

    layer = nn.Linear(INPUTS, OUTPUTS, bias=False)
    layer.weight.copy_(weight)
    config = QuantizeConfig(
        bits=bits,
        group_size=group,
        damp_percent=DAMPING,
        desc_act=False,
        act_group_aware=False,
        sym=True,
        format=FORMAT.GPTQ_V2,
        quant_method=METHOD.GPTQ,
        offload_to_disk=False,
    )
    solver: Any = GPTQ(copy.deepcopy(layer), qcfg=config)
    solver.quantizer.configure(bits=bits, sym=True, perchannel=True)
    for batch in inputs.split(256):
        solver.add_batch(batch[None], layer(batch)[None])
    solver.fasterquant(percdamp=DAMPING, group_size=group, actorder=False)
    rounded: torch.Tensor = solver.module.weight.data.float()
    return rounded


def compare_loading(folder: Path) -> None:
    """Whether gptqmodel unpacks the weights that we do."""
    from transformers import AutoModelForCausalLM, GPTQConfig

    auto_model: Any = AutoModelForCausalLM
    make_config: Any = GPTQConfig
    config = make_config(bits=4, backend="gptq_torch")
    theirs = auto_model.from_pretrained(folder, dtype=torch.float16, device_map="cpu", quantization_config=config)
    ours = load_packed(folder, Packing("gptq", 4), "cpu")
    layers = [(name, module) for name, module in ours.named_modules() if isinstance(module, PackedLinear)]
    worst = 0.0
    for name, module in layers:
        unpacked = theirs.get_submodule(name).dequantize_weight().T.float()
        worst = max(worst, float((unpacked - module.weight_in(torch.float16).float()).abs().max()))
    print(f"{len(layers)} layers, largest difference of a weight in half precision: {worst:g}")


if __name__ == "__main__":
    main()
