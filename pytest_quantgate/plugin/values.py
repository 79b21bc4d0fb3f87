"""What an option was given, on the command line or in the ini file; a fault is told in one line with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_quantgate.errors import QuantgateError
from pytest_quantgate.plugin.settings import SETTINGS, ini_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAY = 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and where it stands.

    Attributes:
        value: As pytest read it: text on the command line, of the key's type in the ini file.
        where: ``--quant-alpha``, ``pytest.ini:3: quant_alpha`` or ``-o quant_alpha``.
        folder: Where relative paths in it are seen from; None for the folder where pytest was started.
    """

    value: Any
    where: str
    folder: Path | None = None

    def text(self) -> str:
        """A text without spaces around it.

        Raises:
            pytest.UsageError: It is empty.
        """
        return self._stripped(str(self.value))

    def texts(self) -> list[str]:
        """The texts of an option that can be repeated.

        Raises:
            pytest.UsageError: One is empty.
        """
        return [self._stripped(each) for each in self.value]

    def choice(self, words: Sequence[str]) -> str:
        """One of several words.

        Raises:
            pytest.UsageError: It is another one.
        """
        chosen = self.text()
        if chosen not in words:
            raise self._fault(f"give {' or '.join(words)}")
        return chosen

    def number(self) -> float:
        """A number.

        Raises:
            pytest.UsageError: It is none.
        """
        try:
            return float(self.value)
        except ValueError:
            raise self._fault("not a number; 5 percent is 0.05") from None

    def minutes(self) -> float:
        """Minutes, at most those of a day.

        Raises:
            pytest.UsageError: They are none.
        """
        try:
            minutes = float(self.value)
        except ValueError:
            minutes = -1
        if not 0 <= minutes <= _DAY:  # so written, it refuses NaN too
            raise self._fault("give minutes, 0 or more and at most a day")
        return minutes

    def count(self) -> int:
        """A whole number.

        Raises:
            pytest.UsageError: It is none.
        """
        try:
            return int(self.value)
        except ValueError:
            raise self._fault("not a whole number") from None

    def _fault(self, what: str) -> pytest.UsageError:
        return pytest.UsageError(f"{self.where} {self.value}: {what}")

    def _stripped(self, value: str) -> str:
        stripped = value.strip()
        if not stripped:
            msg = f"{self.where} is empty: give a value, or leave it out"
            raise pytest.UsageError(msg)
        return stripped


def on_command_line(config: pytest.Config, key: str) -> Given | None:
    """What the command line says; None when nothing."""
    value = config.getoption(key)
    return None if value is None else Given(value, SETTINGS[key].option)


def in_ini_file(config: pytest.Config, key: str) -> Given | None:
    """What the ini file says; None when nothing.

    Raises:
        pytest.UsageError: It is not of the key's type, or goes on with a comment.
    """
    value = ini_value(config, key) if SETTINGS[key].ini else None
    if value is None:
        return None
    from pytest_quantgate.plugin.ini_file import folder_of, place_of, refuse_comment

    refuse_comment(config, key, value)
    return Given(value, place_of(config, key), folder_of(config, key))


def given(config: pytest.Config, key: str) -> Given | None:
    """What the command line says, else what the ini file says."""
    return on_command_line(config, key) or in_ini_file(config, key)


def place_of(config: pytest.Config, key: str, value: str) -> str:
    """Where one of several values that a key has stands: the option, or its own line of the ini file."""
    if config.getoption(key) is not None:
        return SETTINGS[key].option
    from pytest_quantgate.plugin import ini_file

    return ini_file.place_of(config, key, value)


def told(config: pytest.Config, error: QuantgateError) -> str:
    """An error in words; one that blames an option blames the ini file where that is what says it."""
    blamed = (given(config, key) for key, setting in SETTINGS.items() if setting.option == error.where)
    found = next(blamed, None)
    return str(error) if found is None else str(QuantgateError(error.what, where=found.where, hint=error.hint))


def text(config: pytest.Config, key: str) -> str | None:
    """A text without spaces around it; None when nothing is given."""
    found = given(config, key)
    return found.text() if found else None


def texts(config: pytest.Config, key: str) -> list[str]:
    """The texts of an option that can be repeated."""
    found = given(config, key)
    return found.texts() if found else []


def flag(config: pytest.Config, key: str) -> bool:
    """Whether an option without a value is given."""
    return bool(config.getoption(key) or ini_value(config, key))
