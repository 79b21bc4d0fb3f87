"""What people said of answers, kept beside the goldens of a slice: ``golden/<slice>/labels.jsonl``.

A label is bound to prompt, check and answer: where one of them changes, nobody has been asked. Lines of answers that no
variant gives any more do no harm, and hold again when one does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.files import decoded, read_bytes
from pytest_quantgate.cases.json_lines import read_json_line
from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.errors import GoldenError
from pytest_quantgate.files import write_bytes
from pytest_quantgate.golden.encoding import line_of
from pytest_quantgate.golden.lines import numbered_lines
from pytest_quantgate.golden.store import is_anything_at, refuse_links_away
from pytest_quantgate.outcomes.labelled import label_key

if TYPE_CHECKING:
    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.outcomes.labelled import Graded, Labels

FORMAT: Final = "pytest-quantgate labels"
SCHEMA: Final = 1
FILE: Final = "labels.jsonl"

_HEADER_KEYS: Final = ("format", "schema", "slice")
_KEYS: Final = ("case", "turn", "check", "prompt", "asks", "answer", "label")
_SAID: Final = {"yes": True, "no": False}
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Label:
    """What people said of one answer.

    Attributes:
        case: Id of a case that it answers, for readers: nothing is found by it.
        turn: Number of the turn, counted from 1.
        check: Name of the check.
        prompt: Digest of what was asked.
        asks: Digest of the check with its arguments.
        answer: The answer's text.
        yes: Whether it does what the check asks.
        note: What they had to say about it.
    """

    case: str
    turn: int
    check: str
    prompt: str
    asks: str
    answer: str
    yes: bool
    note: str = ""

    @property
    def key(self) -> str:
        """What it is bound to."""
        return label_key(self.prompt, self.asks, self.answer)


@dataclass(frozen=True, slots=True)
class LabelBook:
    """The labels of one slice.

    Attributes:
        slice: Name of the slice.
        path: The file.
        labels: By key.
        digest: SHA-256 (hex) of the file's bytes, by which a change that came in between is seen; empty for a file that
            is not written yet.
    """

    slice: str
    path: Path
    labels: Mapping[str, Label] = field(default_factory=dict)
    digest: str = ""

    def by_check(self) -> Labels:
        """The labels as gates take them."""
        found: dict[str, dict[str, bool]] = {}
        for key, label in self.labels.items():
            found.setdefault(label.check, {})[key] = label.yes
        return found


def labels_path(golden: Path) -> Path:
    """The file of labels beside a golden."""
    return golden.with_name(FILE)


def label_of(case_id: str, one: Graded, *, yes: bool, note: str = "") -> Label:
    """A label for an answer that was graded."""
    return Label(
        case_id, one.turn, one.check.name, one.prompt, digest_of(one.check.canonical()), one.text, yes=yes, note=note
    )


def load_labels(path: Path, slice_name: str, *, shown: str | None = None) -> LabelBook:
    """Read the labels of a slice; none where there is no such file.

    Args:
        path: The file.
        slice_name: Name of the slice, which the file must say too.
        shown: How messages name it; its path when None.

    Raises:
        GoldenError: It cannot be read; with every problem as FILE:LINE.
    """
    problems = Problems(str(path) if shown is None else shown)
    refuse_links_away(path, problems)
    if not is_anything_at(path):
        return LabelBook(slice_name, path)
    data = read_bytes(path, problems)
    text = None if data is None else decoded(data, problems)
    reader = _Reader(slice_name, problems)
    if text is not None:
        reader.read(text)
    if problems or data is None:
        raise GoldenError(problems.found())
    return LabelBook(slice_name, path, reader.labels, hashlib.sha256(data).hexdigest())


def write_labels(book: LabelBook, *, shown: str | None = None) -> None:
    """Write the labels of a slice whole or not at all, sorted; equal labels give equal bytes.

    Raises:
        QuantgateError: They could not be written, or the file changed since it was read; then it is as it was.
    """
    header = {"format": FORMAT, "schema": SCHEMA, "slice": book.slice}
    ordered = sorted(
        book.labels.values(), key=lambda each: (each.case, each.turn, each.check, each.asks, each.prompt, each.answer)
    )
    text = "".join(map(line_of, [header, *map(_line, ordered)]))
    where = str(book.path) if shown is None else shown
    refuse_links_away(book.path, Problems(where))
    write_bytes(book.path, text.encode(), book.digest, where)


def _line(label: Label) -> dict[str, Any]:
    value: dict[str, Any] = {
        "case": label.case,
        "turn": label.turn,
        "check": label.check,
        "prompt": label.prompt,
        "asks": label.asks,
        "answer": label.answer,
        "label": "yes" if label.yes else "no",
    }
    if label.note:
        value["note"] = label.note
    return value


class _Reader:
    """Reads one file of labels. What cannot be read is a problem, and no label.

    Args:
        slice_name: The slice that it must be of.
        problems: Where everything that is wrong is noted.

    Attributes:
        labels: By key.
    """

    def __init__(self, slice_name: str, problems: Problems) -> None:
        self._slice = slice_name
        self._problems = problems
        self._lines: dict[str, int] = {}
        self.labels: dict[str, Label] = {}

    def read(self, text: str) -> None:
        """Read a whole file."""
        has_header = False
        settle = "keep the lines of both sides, each once"
        for number, line in numbered_lines(text, self._problems, settle=settle):
            node = read_json_line(line, number, self._problems)
            if has_header:
                if node is not None:
                    self._label(node)
            elif node is not None and not self._header(node):
                return
            has_header = True

    def _header(self, node: Node) -> bool:
        found = node.value
        if not isinstance(found, dict) or "format" not in found or found["format"].value != FORMAT:
            self._problems.add(node.line, f'the first line is no header of labels: it needs "format": "{FORMAT}"')
            return False
        pairs = fields.mapping(node, "the header", self._problems, known=_HEADER_KEYS, required=_HEADER_KEYS) or {}
        schema = pairs["schema"].value if "schema" in pairs else SCHEMA
        if schema != SCHEMA or isinstance(schema, bool):
            what = f"the schema of these labels is not the one that is read here, which is {SCHEMA}"
            self._problems.add(node.line, f"{what}: upgrade pytest-quantgate")
            return False
        name = fields.text(pairs["slice"], "'slice'", self._problems) if "slice" in pairs else None
        if name is not None and name != self._slice:
            what = f"these are labels of slice {quoted(name)}, not of {quoted(self._slice)}"
            self._problems.add(node.line, f"{what}: move the file to the folder of its slice")
        return True

    def _label(self, node: Node) -> None:
        problems = self._problems
        noted = len(problems)
        pairs = fields.mapping(node, "a label", problems, known=(*_KEYS, "note"), required=_KEYS)
        if pairs is None or len(problems) > noted:
            return
        case, check = fields.text(pairs["case"], "'case'", problems), fields.text(pairs["check"], "'check'", problems)
        turn = fields.integer(pairs["turn"], "'turn'", problems, least=1)
        prompt, asks = (self._digest(pairs[key], key) for key in ("prompt", "asks"))
        answer = fields.text(pairs["answer"], "'answer'", problems, may_be_empty=True)
        said = fields.text(pairs["label"], "'label'", problems)
        if said is not None and said not in _SAID:
            fields.unknown(pairs["label"], "label", said, problems, known=_SAID)
        note = fields.text(pairs["note"], "'note'", problems, may_be_empty=True) if "note" in pairs else ""
        if len(problems) > noted:
            return
        label = Label(
            case or "", turn or 1, check or "", prompt, asks, answer or "", yes=_SAID[said or "no"], note=note or ""
        )
        if label.key in self._lines:
            problems.add(node.line, f"this answer has a label already: line {self._lines[label.key]}")
            return
        self._lines[label.key] = node.line
        self.labels[label.key] = label

    def _digest(self, node: Node, key: str) -> str:
        value = fields.text(node, f"{key!r}", self._problems)
        if value is not None and not _DIGEST.fullmatch(value):
            self._problems.add(node.line, f"{key!r} must be a digest of 64 hexadecimal digits")
        return value or ""
