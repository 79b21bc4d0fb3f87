from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantgate.cases.model import digest_of
from pytest_quantgate.checks.model import CheckResult, Recall
from pytest_quantgate.generation.completion import FinishReason
from pytest_quantgate.golden.encoding import encode
from pytest_quantgate.golden.model import Anchor, AnchoredAnswer, Entry, Golden
from pytest_quantgate.golden.reading import FINISH_REASONS
from pytest_quantgate.golden.store import golden_path, load, write
from pytest_quantgate.outcomes.model import Transition
from tests.unit.golden.build import ANCHOR, LATER, entry, golden

EVERYTHING = st.characters(exclude_categories=())  # halves of surrogate pairs too
# Two halves beside each other are one character to every reader of JSON.
TEXTS = st.text(EVERYTHING, max_size=30).map(
    lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
DATES = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"))
ANCHORS = st.builds(
    Anchor,
    model=TEXTS,
    identity=st.dictionaries(TEXTS, TEXTS, max_size=3),
    digest=st.just(""),
    date=DATES,
    by=TEXTS,
    command=TEXTS,
    tool_version=TEXTS,
).map(lambda made: replace(made, digest=digest_of(dict(made.identity))))
RECALLS = st.builds(
    Recall,
    text=NAMES,
    token_ids=st.just((1, 2)),
    ranks=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    ties=st.just((0, 3)),
    log_probabilities=st.tuples(st.floats(-1e300, 0), st.floats(-9, 0)),
)
ANSWERS = st.builds(
    AnchoredAnswer,
    text=TEXTS,
    finish_reason=st.sampled_from(cast("tuple[FinishReason, ...]", FINISH_REASONS)),
    tokens=st.none() | st.integers(0, 2**31 - 1),
    recall=st.lists(RECALLS, max_size=2).map(tuple),
)
RESULTS = st.builds(CheckResult, check=TEXTS.filter(bool), followed=st.none() | st.booleans(), reason=TEXTS)


@st.composite
def goldens(draw: st.DrawFn) -> Golden:
    anchors = draw(st.lists(ANCHORS, min_size=1, max_size=3))
    entries = draw(
        st.lists(
            st.builds(
                Entry,
                id=NAMES,
                prompt=DIGESTS,
                checks=DIGESTS,
                results=st.lists(RESULTS, min_size=1, max_size=3).map(tuple),
                answers=st.lists(ANSWERS, min_size=1, max_size=2).map(tuple),
                transition=st.none() | st.sampled_from([each.value for each in Transition]),
                anchor=st.sampled_from(anchors),
                accepted=st.none() | TEXTS.filter(bool),
            ),
            min_size=1,
            max_size=4,
            unique_by=lambda each: each.id,
        )
    )
    slice_name, variant = draw(NAMES), draw(TEXTS.filter(bool))
    by_id = {each.id: each for each in sorted(entries, key=lambda each: each.id)}
    return Golden(slice_name, variant, golden_path(Path(), slice_name, variant), by_id)


@settings(max_examples=40, deadline=None)
@given(goldens())
def test_whatever_is_written_is_read_back(made: Golden) -> None:
    with tempfile.TemporaryDirectory() as folder:
        moved = replace(made, path=folder / made.path)
        write(moved)
        found = load(moved.path)
    assert found
    assert replace(found, digest="") == moved
    assert encode(found) == encode(made)


@settings(max_examples=40, deadline=None)
@given(goldens(), st.randoms(use_true_random=False))
def test_equal_goldens_have_equal_bytes_in_whatever_order_they_were_made(made: Golden, chance: Random) -> None:
    ids = list(made.entries)
    chance.shuffle(ids)
    shuffled = {
        case_id: replace(
            made.entries[case_id],
            anchor=replace(
                made.entries[case_id].anchor,
                identity=dict(reversed(list(made.entries[case_id].anchor.identity.items()))),
            ),
        )
        for case_id in ids
    }
    assert encode(replace(made, entries=shuffled)) == encode(made)


def test_the_file_is_a_header_and_a_line_for_each_case(tmp_path: Path) -> None:
    text = encode(golden(tmp_path, entry("b", "+-", text="Größe: 3\n“four”"), entry("a", accepted="it is shorter")))
    header, first, second = text.splitlines()
    assert text.endswith("}\n")
    assert header.startswith('{"format": "pytest-quantgate golden", "schema": 1, "slice": "people", "variant": "nf4", ')
    (key,) = json.loads(header)["anchors"]
    assert f'"anchors": {{"{key}": {{"model": "smollm2", "identity": {{"spec": "nf4", ' in header
    assert list(json.loads(first)) == [
        *("id", "prompt", "checks", "results", "transition", "answers", "anchor", "accepted"),
    ]
    assert json.loads(first)["anchor"] == key
    assert '"answers": [{"text": "Größe: 3\\n“four”", "finish_reason": "stop", "tokens": 2}]' in second
    assert '{"check": "check2", "followed": false, "reason": "reason 2"}' in second


def test_what_a_reviewer_would_not_see_is_written_as_escapes(tmp_path: Path) -> None:
    hidden = "\x00\x1b\x7f\x85\u200b\u202e\u2028\u2066\ufeff\U000e0041\ud800"
    text = encode(golden(tmp_path, entry("a", text=f"é{hidden}😀")))
    assert r"é\u0000\u001b\u007f\u0085\u200b\u202e\u2028\u2066\ufeff\udb40\udc41\ud800😀" in text
    assert text.encode().count(b"\n") == 2


def test_one_case_that_is_anchored_anew_changes_its_line_and_the_header_alone(tmp_path: Path) -> None:
    before = encode(golden(tmp_path, *(entry(each) for each in "abcd"))).splitlines()
    after = encode(golden(tmp_path, *(entry(each, anchor=LATER if each == "b" else ANCHOR) for each in "abcd")))
    assert [one == other for one, other in zip(before, after.splitlines(), strict=True)] == [
        *(False, True, False, True, True)
    ]


def test_an_anchor_that_no_case_uses_any_more_is_dropped_and_the_other_lines_stay(tmp_path: Path) -> None:
    before = encode(golden(tmp_path, entry("a", anchor=LATER), entry("b"))).splitlines()
    after = encode(golden(tmp_path, entry("b"))).splitlines()
    assert len(json.loads(before[0])["anchors"]) == 2
    assert [each["date"] for each in json.loads(before[0])["anchors"].values()] == [ANCHOR.date, LATER.date]
    assert len(json.loads(after[0])["anchors"]) == 1
    assert after[1] == before[2]


def test_equal_anchors_are_one(tmp_path: Path) -> None:
    text = encode(golden(tmp_path, entry("a"), entry("b", anchor=replace(ANCHOR))))
    assert len(json.loads(text.splitlines()[0])["anchors"]) == 1
