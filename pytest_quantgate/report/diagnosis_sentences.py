"""A diagnosis in sentences, the same for every view."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.diagnosis.classify import FEWEST, FEWEST_CASES
from pytest_quantgate.diagnosis.measures import MEASURES
from pytest_quantgate.diagnosis.model import NO_VARIANT, Mode, Stage
from pytest_quantgate.report.figures import megabytes, number, share
from pytest_quantgate.report.rerun import shell_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_quantgate.diagnosis.model import Curve, Diagnosis, Evidence, Repair, Side, Trial

STEPS: Final = 6
"""Numbers of quantized layers at which the first domino is told."""

KEPT: Final = 4
"""Kept modules that a sentence names."""

_CANDIDATE: Final = "--quant-cand"

_STAGES: Final[tuple[Stage, ...]] = get_args(Stage)  # from the first to the furthest
_HOW_FAR: Final[dict[Stage, str]] = {
    "screened": "screened only",
    "decoded": "decoded only",
    "verified": "verified, and its gate did not pass",
}


def looked_at(diagnosis: Diagnosis) -> str:
    """What the diagnosis rests on: cases, and those that were left out."""
    sample = diagnosis.sample
    told = f"looked at {_cases(len(sample.degraded), 'degraded')} and {len(sample.preserved)} preserved as contrast"
    if sample.causal:
        told += f", causal tests on {len(sample.causal)}"
    left = "; ".join(f"{reason}: {count}" for reason, count in sample.left_out.items())
    return f"{told}; left out: {left}" if left else told


def counted(diagnosis: Diagnosis) -> str:
    """How many criteria say what."""
    known = [each for each in diagnosis.evidence if each.measured is not None]
    votes = Counter(each.says for each in known)
    names = {Mode.DEGRADATION: "for degradation", Mode.COLLAPSE: "for collapse", Mode.MIXED: "in between"}
    told = ", ".join(f"{votes[mode]} {name}" for mode, name in names.items() if votes[mode])
    needs = f"; a verdict needs {FEWEST}, each on at least {FEWEST_CASES} cases"
    return (
        f"criteria measured: {len(known)} of {len(diagnosis.evidence)}{told and ': '}{told}"
        f"{needs if diagnosis.mode is Mode.INCONCLUSIVE else ''}"
    )


def carrying(diagnosis: Diagnosis) -> tuple[Evidence, ...]:
    """The evidence that carries the verdict: what speaks for it, and of a divided one, both sides in turn."""
    sides = [
        [each for each in diagnosis.evidence if each.says is mode and each.measured is not None]
        for mode in (Mode.DEGRADATION, Mode.COLLAPSE)
    ]
    if diagnosis.mode in (Mode.DEGRADATION, Mode.COLLAPSE):
        return tuple(sides[diagnosis.mode is Mode.COLLAPSE])
    longest = max(map(len, sides))
    return tuple(side[place] for place in range(longest) for side in sides if place < len(side))


def token(diagnosis: Diagnosis) -> str | None:
    """Rank and probability of the reference's token, from the reference to the candidate."""
    told = [
        f"{what} {sides}"
        for measure, what in (("target_rank", "median rank"), ("target_probability", "mean probability"))
        if (sides := _sides(diagnosis, measure))
    ]
    return f"the reference's token where the answers part: {', '.join(told)}" if told else None


def domino(diagnosis: Diagnosis) -> str | None:
    """What is left of the reference's next tokens with the first layers quantized."""
    curve = domino_curve(diagnosis)
    if curve is None:
        return None
    points = [(at, value) for at, value in zip(curve.at, curve.values, strict=True) if value is not None]
    if not points:
        return None
    last = len(points) - 1
    chosen = [points[place] for place in sorted({last * step // (STEPS - 1) for step in range(STEPS)})]
    layers, shares = (", ".join(each) for each in zip(*((str(at), share(value)) for at, value in chosen), strict=True))
    under = falls_at(curve)
    falls = "" if under is None else f", under half from {under} on"
    return (
        f"first domino: with the first {layers} layers quantized, {shares} of {_cases(curve.count)} keep the"
        f" reference's token{falls}"
    )


def domino_curve(diagnosis: Diagnosis) -> Curve | None:
    """The domino curve of the degraded cases."""
    found = (each for each in diagnosis.curves if each.measure == "domino" and each.group == "degraded")
    return next((each for each in found if not each.part), None)


def falls_at(curve: Curve) -> int | None:
    """Where a curve first falls under half; None where it never does."""
    points = zip(curve.at, curve.values, strict=True)
    return next((at for at, value in points if value is not None and value < 0.5), None)  # noqa: PLR2004  (half)


def repair_lines(diagnosis: Diagnosis, base_command: Sequence[str]) -> Iterator[str]:
    """What the search for a repair came to, one line each; nothing where none was made.

    The recommended variant is named where no command line names it.
    """
    repair = diagnosis.repair
    if repair is None:
        return
    if repair.chosen is None:
        yield f"none is recommended: {repair.reason or 'no reason is given'}"
        if (nearest := nearest_trial(repair)) is not None:
            told = f"nearest of {len(standing(repair))} trials, {_HOW_FAR[nearest.stage]}, {nearest.way}"
            yield f"{told}: {trial_line(nearest, repair.before)}"
        return
    yield trial_line(repair.chosen, repair.before)
    verdicts = ", ".join(f"{name} {verdict.value}" for name, verdict in repair.verdicts.items())
    yield f"verified{verdicts and ', its gates: '}{verdicts}"
    if repair.reason:
        yield repair.reason
    if not base_command:
        yield f"as a variant: {repair.chosen.spec}"


def standing(repair: Repair) -> tuple[Trial, ...]:
    """What was tried, each protection once: as it came out at the furthest stage that it got to.

    An earlier stage's numbers are refuted by a later one's. What no variant can do is left out. A protection is known
    by what it keeps and by its bits: its spec is another one when a long mix went to a file.
    """
    found: dict[tuple[tuple[str, ...], float], Trial] = {}
    for trial in repair.trials:
        if not trial.way.endswith(NO_VARIANT):
            same = found.setdefault((trial.kept, trial.bits), trial)
            if _STAGES.index(trial.stage) >= _STAGES.index(same.stage):
                found[trial.kept, trial.bits] = trial
    return tuple(found.values())


def nearest_trial(repair: Repair) -> Trial | None:
    """Of the trials that got farthest the one that gains most, of equal ones that with the fewest bits.

    What is gained are cases turned back less those lost, as a share of the cases; None when no trial gains anything.
    """

    def gain(trial: Trial) -> float:
        return trial.net / max(trial.degraded + trial.preserved, 1)

    gaining = [each for each in standing(repair) if gain(each) > 0]
    return max(gaining, key=lambda each: (_STAGES.index(each.stage), gain(each), -each.bits), default=None)


def trial_line(trial: Trial, before: Trial) -> str:
    """What a trial does for its bits and memory."""
    told = (
        f"keeping {kept(trial)} turns {trial.turned_back} of {_cases(trial.degraded, 'degraded')} back and loses"
        f" {trial.lost} of {trial.preserved} preserved, at {trial.bits:.2f} bits of a weight (now {before.bits:.2f})"
    )
    if trial.memory_bytes is not None:
        now = "" if before.memory_bytes is None else f" (now {megabytes(before.memory_bytes)})"
        told += f" and {megabytes(trial.memory_bytes)}{now}"
    return told


def kept(trial: Trial) -> str:
    """What a trial keeps in higher precision."""
    more = f" and {len(trial.kept) - KEPT} more" if len(trial.kept) > KEPT else ""
    return (", ".join(trial.kept[:KEPT]) or "nothing") + more


def repair_command(base_command: Sequence[str], diagnosis: Diagnosis) -> str | None:
    """The line that runs the recommended repair and no candidate beside it, which would fail again.

    None without one, or where a run cannot be made again.
    """
    chosen = None if diagnosis.repair is None else diagnosis.repair.chosen
    if chosen is None or not base_command:
        return None
    return shell_line([*_without(base_command, _CANDIDATE), _CANDIDATE, chosen.spec])


def _without(command: Sequence[str], option: str) -> Iterator[str]:
    """The words of a command but for an option and its value, which stands behind it or is joined to it."""
    before = ""
    for word in command:
        if option not in {word, before} and not word.startswith(f"{option}="):
            yield word
        before = word


def title_of(measure: str) -> str:
    """What a measure is called; one that a later release added is called by its key."""
    known = MEASURES.get(measure)
    return measure if known is None else known.title


def _sides(diagnosis: Diagnosis, measure: str) -> str:
    """A value from the reference to the candidate on degraded cases; the reference's alone says nothing."""
    found: dict[Side, str] = {
        each.side: number(each.value)
        for each in diagnosis.values
        if each.measure == measure and each.group == "degraded" and each.place == "parting" and not each.part
    }
    if "candidate" not in found:
        return ""
    return f"{found['reference']} → {found['candidate']}" if "reference" in found else found["candidate"]


def _cases(count: int, kind: str = "") -> str:
    return f"{count}{kind and ' '}{kind} case{'' if count == 1 else 's'}"
