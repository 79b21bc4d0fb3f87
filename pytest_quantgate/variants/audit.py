"""Proof that a candidate is quantized, computed from the loaded model before it is trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from pytest_quantgate.errors import AuditError, QuantgateError
from pytest_quantgate.variants.modules import covers

if TYPE_CHECKING:
    from torch import nn

REFERENCE_BYTES = 2  # per weight, as fp16 stores it
_MIN_SHARE = 0.5  # of the weights that are to be quantized; what the quantizer leaves alone is far less


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in a loaded variant.

    Attributes:
        modules_total: Linear modules, the output head among them.
        modules_replaced: Those that the quantizer replaced and filled.
        bits_per_weight: Bits that a weight of the replaced modules takes as stored, scales included; over
            all linear modules for a variant that replaced none; 0 where there is none.
        memory_bytes: Bytes of all weights as the variant stores them. What the machine takes to run them can
            be more: see ``Placement.kernels``.
        reference_bytes: Bytes of the same weights in fp16.
    """

    modules_total: int
    modules_replaced: int
    bits_per_weight: float
    memory_bytes: int
    reference_bytes: int

    def to_json(self) -> dict[str, int | float]:
        """The facts as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Audit:
        """Reads back what ``to_json`` gave.

        Raises:
            QuantgateError: Facts are missing or not numbers.
        """
        try:
            return cls(
                modules_total=int(value["modules_total"]),
                modules_replaced=int(value["modules_replaced"]),
                bits_per_weight=float(value["bits_per_weight"]),
                memory_bytes=int(value["memory_bytes"]),
                reference_bytes=int(value["reference_bytes"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise QuantgateError("the audit of a variant does not hold the facts it should") from error


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a loaded variant is quantized, counted in weights and not in modules.

    Attributes:
        weights: Weights of the model without embeddings, output head and the modules that the spec skips.
        quantized: Those of replaced modules.
        largest_left: Name of the module that holds most of the others.
    """

    weights: int
    quantized: int
    largest_left: str


def measure(model: nn.Module, stored_bytes: Callable[[nn.Module], int | None]) -> Audit:
    """Counts modules, bits and bytes of a loaded model.

    Args:
        model: As its backend loaded it, before it is brought to its compute dtype.
        stored_bytes: What its backend says of a module's weight, None where it was not replaced.
    """
    from torch import nn  # audits are read back where torch is not

    total = replaced = quantized_weights = quantized_bytes = linear_weights = linear_bytes = 0
    counted: set[int] = set()
    for module in model.modules():
        stored = stored_bytes(module)
        if stored is None and not isinstance(module, nn.Linear):
            continue
        total += 1
        weights = _weights(module)
        if stored is None:
            linear_weights += weights
            linear_bytes += int(cast("nn.Linear", module).weight.nbytes)
            continue
        replaced += 1
        quantized_weights += weights
        quantized_bytes += stored
        counted.update(id(parameter) for parameter in _packed(module))
    others = [parameter for parameter in model.parameters() if id(parameter) not in counted]
    bits = (
        8 * quantized_bytes / quantized_weights
        if quantized_weights
        else 8 * linear_bytes / linear_weights
        if linear_weights
        else 0.0
    )
    return Audit(
        modules_total=total,
        modules_replaced=replaced,
        bits_per_weight=bits,
        memory_bytes=quantized_bytes + sum(parameter.nbytes for parameter in others),
        reference_bytes=REFERENCE_BYTES * (quantized_weights + sum(parameter.numel() for parameter in others)),
    )


def measure_coverage(
    model: nn.Module, stored_bytes: Callable[[nn.Module], int | None], skipped: Iterable[str]
) -> Coverage:
    """Counts the weights that are quantized and those that are not though they should be.

    Linear modules are not all of a model: experts that are kept in one parameter are none.

    Args:
        model: As for ``measure``.
        stored_bytes: As for ``measure``.
        skipped: Names given to ``skip=``.
    """
    from torch import nn

    skipped = tuple(skipped)
    output_head = getattr(model, "get_output_embeddings", lambda: None)()
    quantized = 0
    left: dict[str, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) or module is output_head or any(covers(skip, name) for skip in skipped):
            continue
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if stored_bytes(module) is not None:
            quantized += _weights(module)
            own -= sum(parameter.numel() for parameter in _packed(module))  # not the number of weights
        left[name] = own
    return Coverage(quantized + sum(left.values()), quantized, max(left, key=left.__getitem__, default=""))


def _weights(module: Any) -> int:
    """Number of weights of a linear layer, however its library packs them, or of another module: joined experts."""
    if hasattr(module, "in_features"):
        return int(module.in_features * module.out_features)
    return sum(parameter.numel() for parameter in _packed(module))


def _packed(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that hold the weights of a replaced module."""
    return [parameter for name, parameter in module.named_parameters(recurse=False) if not name.endswith("bias")]


def check_audit(audit: Audit, coverage: Coverage, max_bits: float | None, spec: str) -> None:
    """Refuses a candidate that is not quantized as its spec says.

    Args:
        audit: What was found.
        coverage: How much of it is quantized.
        max_bits: Bits per weight at which it is refused; None for a variant that quantizes nothing.
        spec: The variant, for the message.

    Raises:
        AuditError: No module was replaced, or most weights were left as they were, without ``skip=`` saying so;
            weights take too many bits; or nothing was saved.
    """
    if max_bits is None:
        return
    counts = (
        f"{audit.modules_replaced} of {audit.modules_total} linear modules replaced, "
        f"{audit.bits_per_weight:.2f} bits per weight, {audit.memory_bytes:,} bytes "
        f"against {audit.reference_bytes:,} in fp16"
    )
    where = f"variant {spec!r}"
    if not audit.modules_replaced:
        raise AuditError(
            f"nothing was quantized: {counts}",
            where=where,
            hint="check its skip= option; a model without linear layers that the quantizer knows cannot be gated",
        )
    if coverage.quantized < _MIN_SHARE * coverage.weights:
        raise AuditError(
            f"most weights were left as they were, only {coverage.quantized:,} of {coverage.weights:,} (embeddings and "
            f"output head aside) were quantized: {counts}",
            where=where,
            hint=f"the quantizer does not know the layers of this model, such as {coverage.largest_left}: use another "
            "model or variant, or name in skip= what is to stay as it is",
        )
    if not audit.bits_per_weight < max_bits:  # so written, it refuses NaN too
        raise AuditError(
            f"the weights take too many bits, {max_bits:g} or more: {counts}",
            where=where,
            hint="its layers may be too small for the scales to pay: use a larger model or another variant",
        )
    if audit.memory_bytes >= audit.reference_bytes:
        raise AuditError(
            f"the candidate is not smaller than the reference: {counts}",
            where=where,
            hint="use another variant, or check its skip= option",
        )
