"""What the report says of an anchored reference, of which nothing is run and files may be gone."""

from __future__ import annotations

import pytest

from pytest_quantgate.plugin import assemble
from pytest_quantgate.variants.spec import parse_spec


@pytest.mark.parametrize(
    ("variant", "bits"), [("nf4", 4), ("mix:gone.yaml", None), ("http://box:8000/v1#m", None), ("stored", None)]
)
def test_bits_are_those_of_the_spec_alone(variant: str, bits: float | None) -> None:
    assert vars(assemble)["_bits"](parse_spec(variant)) == bits
