from __future__ import annotations

import pytest

from pytest_quantgate.errors import ModelError
from pytest_quantgate.plugin.trouble import Trouble


def test_an_error_of_ours_is_told_as_its_message() -> None:
    trouble = Trouble.of(ModelError("it is broken", where="/model", hint="copy it again"))
    assert trouble == Trouble("/model: it is broken\n  copy it again")
    assert trouble.headline == "/model: it is broken"


def test_any_other_error_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("no idea")
    trouble = Trouble.of(caught.value)
    assert trouble.reason == "internal error: RuntimeError: no idea"
    assert "Traceback" in trouble.details
