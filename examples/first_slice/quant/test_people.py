"""What a slice file cannot say, said in Python: one test run per case and candidate."""

import json

import pytest


@pytest.mark.quant_slice("people.slice.yaml")
def test_the_name_comes_first(quant_case):
    """The program that reads these answers streams them, and needs the name first."""
    if quant_case.reference.passed and quant_case.candidate.passed:
        assert next(iter(json.loads(quant_case.candidate.completion.text))) == "name"
