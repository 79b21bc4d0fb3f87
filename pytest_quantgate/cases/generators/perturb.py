"""Perturbed cousins of another slice's cases: the same question as careless people type it; docs/perturbations.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from random import Random
from typing import TYPE_CHECKING, Final

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.files import SLICE_SUFFIX, beside
from pytest_quantgate.cases.generators.perturb_guard import Guarded
from pytest_quantgate.cases.generators.perturb_kinds import casing, distraction, spacing, typos
from pytest_quantgate.cases.generators.perturb_order import order
from pytest_quantgate.cases.generators.seeded import read_seed, rng_at
from pytest_quantgate.cases.problems import Problems, quoted
from pytest_quantgate.cases.suites import suite_files
from pytest_quantgate.errors import UsageError, nearest

if TYPE_CHECKING:
    from pytest_quantgate.cases.model import Case, CheckSpec
    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.surroundings import Surroundings

Kind = Callable[[Guarded, Random], str]
"""Gives the changed text; the same text where this kind has nothing to change."""

KINDS: Final[Mapping[str, Kind]] = {
    "typos": typos,
    "casing": casing,
    "spacing": spacing,
    "order": order,
    "distraction": distraction,
}

_KEYS: Final = ("slice", "suite", "kinds", "per_case", "seed", "keep_original")
_MOST_PER_CASE: Final = 20
_MOST_CHARACTERS: Final = 32_000_000  # of all messages together: every cousin repeats its original's
_TRIES: Final = 4


def perturb(parameters: Node, problems: Problems, surroundings: Surroundings) -> Sequence[Mapping[str, object]]:
    """Make perturbed cousins of the cases of another slice file.

    Only the last message of the user changes; of a case with several turns, only its first turn. Checks, limits and the
    rest of the chat stay. What an answer hangs on is left as it is: see `Guarded`. A kind that has nothing to change in
    a case gives none for it. Ids are ``ID~typos`` (``ID~typos-2`` for the second of its kind), tags the original's with
    ``perturbed`` and the kind, and all stand in the original's cluster; one without a cluster gives its id.

    Args:
        parameters: ``slice``, a file beside this one (or in a folder below), or ``suite``, a slice of a built-in suite
            written ``core/format``; ``seed``; ``kinds``, some of typos, casing, spacing, order and distraction (all
            unless given); ``per_case``, how many of each kind a case gets (1 unless given); ``keep_original``, whether
            the originals stand beside them (true unless given).
        problems: Where parameters that do not fit are noted, and the problems of the other file.
        surroundings: What the slice file is read in.

    Returns:
        The cases as a slice file would write them; none when there are problems.
    """
    before = len(problems)
    pairs = fields.mapping(parameters, "generator 'perturb'", problems, known=_KEYS, required=("seed",)) or {}
    seed = read_seed(pairs, problems)
    kinds = fields.names_of(pairs, "kinds", "kind", problems, known=KINDS)
    per_case: int | None = 1
    if "per_case" in pairs:
        per_case = fields.integer_of(pairs, "per_case", problems, least=1, most=_MOST_PER_CASE)
    keep = _keep_original(pairs["keep_original"], problems) if "keep_original" in pairs else True
    originals = _originals(parameters, pairs, surroundings, problems)
    if seed is None or per_case is None or not kinds or len(problems) > before:
        return []
    size = sum(len(message.content) for case in originals for message in case.messages) * per_case * len(kinds)
    if size > _MOST_CHARACTERS:
        problems.add(parameters.line, f"{size} characters of prompts; at most {_MOST_CHARACTERS} are made")
        return []
    cases: list[Mapping[str, object]] = []
    changed = 0
    for case in originals:
        cousins = list(_cousins(case, kinds, per_case, seed))
        changed += len(cousins)
        cases += [_written(case, case.id, case.prompt, ()), *cousins] if keep else cousins
    if not changed:
        problems.add(parameters.line, "no case can be perturbed in the kinds asked for")
    return cases if changed else []


def _cousins(case: Case, kinds: Sequence[str], per_case: int, seed: int) -> Iterator[Mapping[str, object]]:
    arguments = [spec.arguments for spec in (*case.checks, *(spec for turn in case.later for spec in turn.checks))]
    shown = any(message.role == "assistant" for message in case.messages)
    guarded = Guarded.of(case.prompt, arguments, continued=bool(case.answer_prefix), shown=shown)
    seen = {case.prompt}
    for kind in kinds:
        found = 0
        for number in range(per_case * _TRIES):
            text = KINDS[kind](guarded, rng_at(seed, kind, case.id, number))
            if text in seen:
                continue
            seen.add(text)
            found += 1
            name = f"{case.id}~{kind}" if found == 1 else f"{case.id}~{kind}-{found}"
            yield _written(case, name, text, ("perturbed", kind))
            if found == per_case:
                break


def _written(case: Case, name: str, prompt: str, tags: Sequence[str]) -> Mapping[str, object]:
    """A case as a slice file would write it, with another name and prompt."""
    written: dict[str, object] = {
        "id": name,
        "tags": sorted({*case.tags, *tags}),
        "cluster": case.cluster or case.id,
        "max_new_tokens": case.max_new_tokens,
    }
    if case.answer_prefix:
        written["answer_prefix"] = case.answer_prefix
    if case.subject and (case.subject in prompt or case.subject in case.answer_prefix):  # a typo may have hit it
        written["subject"] = case.subject
    if not case.later:
        chat = [{"role": message.role, "content": message.content} for message in case.messages[:-1]]
        return {**written, "messages": [*chat, {"role": "user", "content": prompt}], "checks": _checks(case.checks)}
    if case.messages[0].role == "system":
        written["system"] = case.messages[0].content
    first = {"prompt": prompt, "checks": _checks(case.checks), "max_new_tokens": case.max_new_tokens}
    later = [
        {"prompt": turn.prompt, "checks": _checks(turn.checks), "max_new_tokens": turn.max_new_tokens}
        for turn in case.later
    ]
    return {**written, "turns": [first, *later]}


def _checks(specs: Sequence[CheckSpec]) -> list[object]:
    return [{spec.name: dict(spec.arguments)} if spec.arguments else spec.name for spec in specs]


def _keep_original(node: Node, problems: Problems) -> bool:
    if isinstance(node.value, bool):
        return node.value
    fields.wrong_type(node, "'keep_original' must be true or false", problems)
    return True


def _originals(
    parameters: Node, pairs: Mapping[str, Node], surroundings: Surroundings, problems: Problems
) -> tuple[Case, ...]:
    """The cases of the other slice file; its problems become ours, under its own name."""
    if surroundings.of_another:
        # So that files cannot go round in circles, and cousins of cousins stay out.
        problems.add(
            parameters.line, "a slice of perturbations cannot be perturbed again: name the slice that it names"
        )
        return ()
    if ("slice" in pairs) == ("suite" in pairs):
        problems.add(parameters.line, "generator 'perturb' needs the key 'slice' or 'suite', and not both")
        return ()
    if "slice" in pairs:
        place = _beside(pairs["slice"], surroundings.folder, problems)
    else:
        place = _in_suite(pairs["suite"], problems)
    if place is None:
        return ()
    from pytest_quantgate.cases.read_slice import read_slice_file  # which imports the generators

    path, own = place
    loaded = read_slice_file(path, replace(surroundings, folder=path.parent, of_another=True), own)
    problems.extend(own.found())
    return loaded.cases if loaded is not None and not own else ()


def _beside(node: Node, folder: Path, problems: Problems) -> tuple[Path, Problems] | None:
    relative = fields.text(node, "'slice'", problems)
    if relative is None:
        return None
    if not relative.endswith(SLICE_SUFFIX):
        problems.add(node.line, f"'slice' must be the path of a {SLICE_SUFFIX} file, not {quoted(relative)}")
        return None
    path = beside(folder, relative, node.line, problems)
    if path is None:
        return None
    if path.resolve() == (folder / PurePath(problems.path).name).resolve():
        problems.add(node.line, "a slice cannot perturb itself: name another slice file")
        return None
    return path, problems.beside(relative)


def _in_suite(node: Node, problems: Problems) -> tuple[Path, Problems] | None:
    written = fields.text(node, "'suite'", problems)
    if written is None:
        return None
    suite, slash, name = written.partition("/")
    if not slash:
        problems.add(node.line, f"'suite' must name a suite and its slice, like core/format, not {quoted(written)}")
        return None
    try:
        files = {path.name.removesuffix(SLICE_SUFFIX): path for path in suite_files(suite[: fields.LONGEST_NAME])}
    except UsageError as error:
        problems.add(node.line, " ".join(str(error).split()))
        return None
    if name not in files:
        hint = nearest(name[: fields.LONGEST_NAME], files)
        problems.add(node.line, f"unknown slice {quoted(name)} of suite {quoted(suite)}; {hint}")
        return None
    return files[name], Problems(str(files[name]))
