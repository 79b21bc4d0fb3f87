"""What this run's variants are anchored to: read before anything is generated, compared when all items have run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from pytest_quantgate.errors import GoldenError
from pytest_quantgate.plugin.drift import Compared, compare, drift_gate, would_pass
from pytest_quantgate.plugin.files import seen_from
from pytest_quantgate.plugin.golden_files import path_of
from pytest_quantgate.plugin.reanchor import states_of
from pytest_quantgate.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_quantgate.cases.model import Case
    from pytest_quantgate.gate.model import GateResult
    from pytest_quantgate.generation.completion import Completion
    from pytest_quantgate.golden.model import Anchor, Golden
    from pytest_quantgate.plugin.gates import Gate
    from pytest_quantgate.plugin.session import QuantRun
    from pytest_quantgate.report.records import GoldenRecord
    from pytest_quantgate.variants.variant import Variant

OF_THE_MODEL: Final = ("chat_template", "config", "generation_config", "tokenizer", "weights")
"""Fields of an identity that all variants of one model share."""


class Goldens:
    """The goldens of a run.

    Args:
        run: The session's run.

    Attributes:
        records: How each variant stands to its golden, when the run has ended.
        told: What became of re-anchoring where there is something to say, and whether it is bad news.
    """

    def __init__(self, run: QuantRun) -> None:
        self._run = run
        self._read: dict[tuple[str, str], Golden | None] = {}
        self._compared: tuple[Compared, ...] = ()
        self._settled: frozenset[str] = frozenset()
        self.records: tuple[GoldenRecord, ...] = ()
        self.told: list[tuple[str, bool]] = []

    # --- before anything is generated

    def problems(self) -> list[str]:
        """Goldens that cannot be read, and those that the reference is to come from and that are not there."""
        found = []
        for key in self._keys():
            try:
                self.of(*key)
            except GoldenError as error:
                found.append(str(error))
        return list(dict.fromkeys([*found, *self._without_reference()]))

    @property
    def gates(self) -> int:
        """How many drift gates the run will have."""
        return sum(self.of(*key) is not None for key in self._keys())

    def of(self, name: str, spec: str) -> Golden | None:
        """What a variant is anchored to on a slice; None when it is not.

        Args:
            name: Name of the slice.
            spec: Spec of the variant.

        Raises:
            GoldenError: The file cannot be read.
        """
        from pytest_quantgate.golden.store import load

        if (name, spec) not in self._read:
            path = path_of(self._run, name, spec)
            self._read[name, spec] = load(path, shown=self.shown(path))
        return self._read[name, spec]

    def anchored(self, name: str, case: Case) -> tuple[Completion, ...]:
        """What the reference answered to a case when it was anchored, for ``--quant-ref golden:SPEC``.

        Args:
            name: Name of the slice.
            case: The case.

        Returns:
            A completion for each turn; one that says why there is none, where no anchor stands.
        """
        from pytest_quantgate.generation.completion import Completion
        from pytest_quantgate.golden.compare import standing
        from pytest_quantgate.golden.entries import completions_of

        spec = self._run.options.anchored or ""
        golden = self.of(name, spec)
        entry = None if golden is None else golden.entries.get(case.id)
        found = standing(case, entry, None)
        if entry is None or found.state == "expired":
            problem = f"the golden of {spec} has no answer to it: {found.reason}"
            return (Completion("", (), "unknown", 0, problem=problem),)
        completions, turns = completions_of(entry), 1 + len(case.later)
        if len(completions) != turns:  # somebody edited the line, or settled a conflict by hand
            counts = f"{counted(len(completions), 'answer')} to its {counted(turns, 'turn')}"
            problem = f"the golden of {spec} has {counts}: take the file back from version control, or anchor it anew"
            return (Completion("", (), "unknown", 0, problem=problem),)
        return completions

    def shown(self, path: Path) -> str:
        """A golden's file as messages name it."""
        return seen_from(self._run.config.invocation_params.dir, path)

    def _keys(self) -> Iterator[tuple[str, str]]:
        """The slices with the variants that run on each: the reference first, unless it comes from a golden itself."""
        options, selected = self._run.options, self._run.tally.selected
        reference = [] if options.anchored else [options.reference]
        for name in self._run.tally.slices:
            candidates = [spec for spec in options.candidates if (name, spec) in selected]
            yield from ((name, spec) for spec in dict.fromkeys([*reference, *candidates]))

    def _without_reference(self) -> Iterator[str]:
        from pytest_quantgate.report.rerun import shell_line

        run, spec = self._run, self._run.options.anchored
        if spec is None:
            return
        for name in run.tally.slices:
            try:
                missing = self.of(name, spec) is None
            except GoldenError as error:
                yield str(error)
                continue
            if missing:
                words = ["pytest", "--quant-model", run.options.model, "--quant-ref", spec, "--quant-cand", spec]
                yield (
                    f"{run.book.named(name).location}: slice {name} has no golden of {spec}: "
                    f"{self.shown(path_of(run, name, spec))} is not there\n  make it where {spec} can run: "
                    f"{shell_line([*words, '--quant-slice', name, '--quant-reanchor', 'new'])}"
                )

    # --- when all items have run

    def judge(self) -> tuple[Gate, ...]:
        """Compare every variant that answered with its golden.

        Returns:
            The drift gates: one per slice and variant that has a golden.
        """
        run = self._run
        self._compared = tuple(compare(run, *key, self.of(*key)) for key in self._keys())
        anew = states_of(run.options.reanchor)
        self.records = tuple(
            self._record(each) for each in (*self._compared, *self._references()) if each.golden is not None or anew
        )
        found = (drift_gate(run, each, anew) for each in self._compared)
        return tuple(gate for gate in found if gate is not None)

    def settled(self, gate: Gate) -> bool:
        """Whether anchoring anew has settled what a drift gate found."""
        return gate.nodeid in self._settled

    @property
    def verdicts(self) -> tuple[GateResult, ...]:
        """What the drift gates say, without those that this run has settled by anchoring anew."""
        return tuple(gate.result for gate in self._run.drifts if not self.settled(gate))

    def renew(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the goldens that ``--quant-reanchor`` asks for, unless anything speaks against one of them.

        Args:
            session: Its exit status becomes that of a failed run where something could not be written.
            exitstatus: How the run ended; nothing is written by one that did not end well.
        """
        from pytest_quantgate.plugin.renewal import renew

        if self._run.options.reanchor:
            try:
                found = renew(self._run, self._compared, exitstatus)
            except Exception as error:  # noqa: BLE001  (a fault in here must not hide the verdicts, nor the report)
                self.told.append((f"re-anchoring failed: internal error: {type(error).__name__}: {error}", True))
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
                return
            self.told += found.told
            self.records = tuple(_renewed(self.records, found.written))
            self._settled = frozenset(self._settled_by(found.written))
            session.exitstatus = found.exitstatus
            if session.exitstatus == pytest.ExitCode.OK and (left := list(self._not_settled())):
                self.told.append(("\n".join(["what was anchored does not settle everything:", *left]), True))
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _settled_by(self, written: Mapping[tuple[str, str], tuple[Golden, tuple[str, ...]]]) -> Iterator[str]:
        """Node ids of the drift gates that were skipped and pass by the goldens that were written."""
        compared = {(each.slice, each.variant): each for each in self._compared}
        for gate in self._run.drifts:
            key = gate.result.slice, gate.result.candidate
            if gate.excuse and key in written and would_pass(self._run, compared[key], written[key][0]):
                yield gate.nodeid

    def _not_settled(self) -> Iterator[str]:
        """Drift gates that were skipped and still fail: a review may leave what drifted as it is."""
        for gate in self._run.drifts:
            if gate.excuse and not self.settled(gate) and replace(gate, excuse="").outcome == "failed":
                result = gate.result
                yield f"    {gate.nodeid}: {result.verdict.value}: {'; '.join(result.reasons)}"

    def _references(self) -> Iterator[Compared]:
        """How the reference's anchored answers, graded today, stand to the goldens that they come from."""
        run, spec = self._run, self._run.options.anchored
        if spec is not None:
            for name in run.tally.slices:
                yield compare(run, name, run.options.reference, self.of(name, spec))

    def _record(self, compared: Compared) -> GoldenRecord:
        from pytest_quantgate.report.records import GoldenRecord

        spec, golden = compared.variant, compared.golden
        if spec == self._run.options.reference:
            spec = self._run.options.anchored or spec
        newest = None if golden is None else newest_anchor([golden])
        return GoldenRecord(
            slice=compared.slice,
            variant=compared.variant,
            path=self.shown(path_of(self._run, compared.slice, spec)),
            anchored=None if newest is None else newest.date,
            by=None if newest is None else newest.by,
            same=sum(each.state == "same" for each in compared.standings),
            standings=tuple(each for each in compared.standings if each.state != "same"),
            changes=self._changes(compared),
            accepted={} if golden is None else _accepted(golden),
        )

    def _changes(self, compared: Compared) -> tuple[str, ...]:
        """What of a variant is other than when it was anchored; of an anchored reference, what of its model is."""
        from pytest_quantgate.golden.identity import changes_since, identity_changes

        run, golden = self._run, compared.golden
        anchored = run.options.anchored is not None and compared.variant == run.options.reference
        now = self._of_its_model() if anchored else run.answers.variants.get(compared.variant)
        newest = None if golden is None else newest_anchor([golden])
        if golden is None or newest is None or now is None:
            return ()
        if not anchored:
            return changes_since(golden, now.identity.fields)
        pair = (newest.identity, now.identity.fields)
        return identity_changes(*({key: of[key] for key in OF_THE_MODEL if key in of} for of in pair))

    def _of_its_model(self) -> Variant | None:
        """A variant that shares the files of the anchored reference's model; None where no such one is known."""
        from pytest_quantgate.variants.spec import parse_spec

        served = parse_spec(self._run.options.anchored or "").served
        return None if served else self._run.answers.local

    def reference_anchor(self) -> Anchor | None:
        """The newest anchor of the goldens that the reference comes from; None when it comes from none."""
        spec = self._run.options.anchored
        if spec is None:
            return None
        return newest_anchor(golden for name in self._run.tally.slices if (golden := self.of(name, spec)) is not None)


def newest_anchor(goldens: Iterable[Golden]) -> Anchor | None:
    """The newest anchor of some goldens; None when they hold none."""
    anchors = (entry.anchor for golden in goldens for entry in golden.entries.values())
    return max(anchors, key=lambda anchor: anchor.date, default=None)


def _accepted(golden: Golden) -> dict[str, str]:
    return {entry.id: entry.accepted for entry in golden.entries.values() if entry.accepted is not None}


def _renewed(
    records: Iterable[GoldenRecord], written: Mapping[tuple[str, str], tuple[Golden, tuple[str, ...]]]
) -> Iterator[GoldenRecord]:
    """The records, with what was written; those of goldens that neither were there nor are now are left out."""
    for record in records:
        key = record.slice, record.variant
        if key in written:
            golden, cases = written[key]
            yield replace(record, accepted=_accepted(golden), written=cases)
        elif record.anchored is not None:
            yield record
