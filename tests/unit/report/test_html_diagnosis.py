"""The diagnosis on the HTML page: verdict, evidence, charts and the same in figures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest

from pytest_quantgate.diagnosis.model import NO_VARIANT, Diagnosis, Grid, Mode, Value
from pytest_quantgate.report.html import diagnosis as shown
from pytest_quantgate.report.html import page
from pytest_quantgate.report.html.diagnosis import Told, diagnoses
from pytest_quantgate.report.html.diagnosis_charts import Profile, Try, frontier, heat, profiles
from pytest_quantgate.report.model import RunReport
from tests.unit.report.build import run
from tests.unit.report.diagnosed import BEFORE, REPAIR, SPEC, diagnosis, few, hostile, with_diagnoses
from tests.unit.report.test_html import HOSTILE, Page

NO_REPAIR = replace(REPAIR, chosen=None, verdicts={}, reason="no layer helps")


@cache
def usual() -> str:
    """The page of a run with a diagnosis."""
    return page(with_diagnoses(few()))


def told(each: Diagnosis) -> Told:
    (found,) = diagnoses(with_diagnoses(each))
    return found


@cache
def whole() -> Told:
    """A diagnosis with everything that has a name, of a model of three layers."""
    return told(diagnosis(3))


def of_one(diagnosis: Diagnosis) -> str:
    """The page of a run without any other charts."""
    return page(replace(with_diagnoses(diagnosis), gates=(), cases=()))


def classes(svg: str) -> Counter[str]:
    return Counter(re.findall(r'class="([\w -]+)"', svg))


def test_the_page_tells_verdict_evidence_with_limits_repair_and_notes() -> None:
    text = _flat(usual())
    for said in (
        "signal degradation nf4 on format, against fp16",
        "Looked at 12 degraded cases and 12 preserved as contrast, causal tests on 2",
        "Criteria measured: 5 of 6: 3 for degradation, 1 for collapse, 1 in between.",
        "gate sign flips 0.070 at most 0.150 at least 0.300 signal degradation 0.07 of the feed-forward gates change",
        "restored by early patching - at least 0.500 at most 0.200 inconclusive it was not measured",
        "verified, its gates: format PASS.",
        f"pytest --quant-suite core --quant-ref fp16 --quant-cand {SPEC}",
        "1 case has activations that are not numbers",
    ):
        assert said in text


def _flat(text: str) -> str:
    """The page's text in the order of reading."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).replace("&#39;", "'").split())


def test_a_run_without_a_diagnosis_has_no_section_for_it() -> None:
    text = page(run())
    assert 'id="diagnosis"' not in text
    assert 'href="#diagnosis"' not in text
    assert 'href="#diagnosis"' in usual()


def test_a_page_of_a_report_that_was_read_back_is_the_same() -> None:
    assert page(RunReport.from_json(with_diagnoses(few()).to_json())) == usual()


def test_the_page_is_well_formed_and_holds_nothing_that_its_policy_forbids() -> None:
    found = Page(usual())
    assert found.open == []
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert not [attributes for _, attributes in found.elements if "style" in attributes]
    assert all(attributes["aria-label"] for tag, attributes in found.elements if tag == "svg")
    drawn = [attributes for tag, attributes in found.elements if tag in ("path", "text")]
    assert not [each for each in drawn if "#" in each.get("fill", "") + each.get("stroke", "")]


def test_what_matters_is_shown_at_once_and_everything_else_on_demand() -> None:
    found = whole()
    assert [chart.title.partition(":")[0].partition(";")[0] for chart in found.first] == [
        "Repair",
        "Logit lens",
        "Logit lens",
        "First layers quantized",
        "Attention divergence",
        "Linear CKA, layer, degraded cases",
        "Linear CKA, attention, degraded cases",
        "Attention divergence, degraded cases",
    ]
    others = [chart.title for chart in found.more]
    assert any(title.startswith("Gate sign flips; at the end degraded 0.120, preserved 0.030") for title in others)
    assert any(title.startswith("Linear CKA, layer, preserved cases") for title in others)
    assert any(title.startswith("Linear CKA, feed_forward, degraded cases") for title in others)
    assert any(title.startswith("Restored by patching, turned, candidate, degraded cases") for title in others)


def test_every_chart_has_its_numbers_in_a_table() -> None:
    found = whole()
    titles = ["".join(sheet.title) for sheet in found.sheets]
    for chart in (*found.first[1:], *found.more):
        name = re.split(r"; |, degraded|, preserved|, candidate", chart.title)[0]
        assert any(title.startswith(name) for title in titles), chart.title
    assert "trials of the search for a repair" in titles
    patching = next(sheet for sheet in found.sheets if "".join(sheet.title).startswith("Restored by patching at"))
    assert patching.headings == ("layer", "subject", "parting", "all")
    assert patching.rows[0] == ("0", "0.900", "-0.100", "1")


def test_a_heat_map_goes_from_pale_at_0_to_the_full_colour_at_its_end() -> None:
    svg = heat([[0.0, 0.5, None], [1.0, 1.0, -3.0]], "ab", "xyz", title="t", end=1.0, tint="pass")
    found = classes(svg)
    key = Counter({f"fill-pass-{step}": 1 for step in range(9)})
    assert found - key == Counter(
        {"fill-pass-0": 1, "fill-pass-4": 1, "fill-pass-8": 1, "fill-soft": found["fill-soft"]}
    )
    for name in ("a", "b", "x", "y", "z", "0", "1"):
        assert f">{name}</text>" in svg
    assert 'aria-label="t"' in svg


def test_neighbours_of_one_colour_are_one_rectangle() -> None:
    even = heat([[0.5] * 40] * 40, "a" * 40, "b" * 40, title="", end=1.0, tint="ink")
    mixed = heat([[0.5, 1.0] * 20] * 40, "a" * 40, "b" * 40, title="", end=1.0, tint="ink")
    assert len(even) * 8 < len(mixed)


def test_colours_say_whether_much_is_good() -> None:
    found = {chart.title.partition(",")[0]: chart.svg for chart in whole().first}
    assert "fill-pass-8" in found["Linear CKA"]
    assert "fill-fail-8" in found["Attention divergence"]


def test_entropies_of_both_variants_have_one_scale_however_small_they_are() -> None:
    grid = Grid("attention_entropy", "degraded", "reference", "parting", ("0",), ("0", "1"), ((0.0, 0.5),), 12)
    found = told(replace(few(), curves=(), grids=(grid, replace(grid, side="candidate")), repair=None))
    titles = [chart.title for chart in found.more]
    assert titles == [
        f"Normalized attention entropy, {side}, degraded cases: 0 to 0.500" for side in ("reference", "candidate")
    ]
    assert all(classes(chart.svg)["fill-ink-4"] == 2 for chart in found.more)  # a cell, and one of the key


def test_a_heat_map_s_title_tells_what_no_colour_shows_as_0() -> None:
    grid = Grid("attention_divergence", "degraded", "both", "parting", ("0",), ("0", "1"), ((3.7e-6, 0.148),), 12)
    titles = [
        chart.title
        for each in (grid, replace(grid, values=((0.002, 0.148),)))
        for chart in told(replace(few(), curves=(), grids=(each,), repair=None)).first
    ]
    assert titles == [f"Attention divergence, degraded cases: {low} to 0.148" for low in ("0", "0.002")]


def test_a_criterion_between_its_limits_says_neither() -> None:
    assert [each.says for each in told(few()).evidence if each.role == "soft"] == ["neither", "inconclusive"]


def test_a_curve_breaks_where_it_is_undefined_and_a_lone_point_is_marked() -> None:
    line = Profile("nf4", (0, 1, 2, 3, 4, 5), (0.1, 0.2, None, 0.4, None, 0.5), "fail")
    svg = profiles([line], title="t", along="layer", floor=0.0, ceiling=1.0)
    drawn = [path for path in re.findall(r"<path [^>]*>", svg) if "-fail" in path]
    assert len([path for path in drawn if "transform" in path]) == 2  # layers 3 and 5
    assert ">nf4</text>" in svg


def test_ranks_are_drawn_in_powers_of_ten() -> None:
    line = Profile("candidate", (0, 1), (40_000.0, 1.0), "fail")
    svg = profiles([line], title="t", along="layer", floor=1.0, ceiling=None, log=True)
    for name in ("1", "10", "100", "1,000", "10,000"):
        assert f">{name}</text>" in svg


def test_the_frontier_tells_the_chosen_repair_from_those_that_lose_cases() -> None:
    tries = [Try(4.5, 0, "ink", "now"), Try(4.8, 0.9, "fail"), Try(5.1, 0.5, "pass", "recommended")]
    found = classes(frontier(tries, title="t"))
    assert [found[f"fill-{role} stroke-paper"] for role in ("ink", "fail", "pass")] == [1, 1, 1]
    assert ">recommended</text>" in frontier(tries, title="t")


def test_the_frontier_has_each_protection_once_as_far_as_it_got_and_nothing_that_no_variant_does() -> None:
    lost = replace(REPAIR.trials[0], turned_back=0, lost=1, stage="decoded")
    amplified = replace(REPAIR.trials[0], kept=(), turned_back=12, way=f"amplified {NO_VARIANT}")
    repair = replace(NO_REPAIR, trials=(REPAIR.trials[0], lost, amplified))
    found = classes(told(replace(few(), repair=repair)).first[0].svg)
    assert [found[f"fill-{role} stroke-paper"] for role in ("ink", "fail", "pass")] == [
        1,
        1,
        0,
    ]  # now, and the lost one


def test_without_a_repair_the_page_says_so() -> None:
    found = told(replace(few(), repair=NO_REPAIR))
    assert found.command is None
    assert found.repair[0] == "none is recommended: no layer helps"
    assert found.first[0].title == "Repair: No repair is recommended"
    assert not told(replace(few(), repair=None)).repair


@pytest.mark.parametrize("mode", Mode)
def test_one_in_which_nothing_was_measured_is_shown_without_charts(mode: Mode) -> None:
    bare = Diagnosis("format", "fp16", "nf4", mode, (), diagnosis().sample)
    found = told(bare)
    assert (found.first, found.more, found.sheets) == ((), (), ())
    assert mode.value in _flat(of_one(bare))


def test_what_is_undefined_everywhere_is_not_drawn() -> None:
    good = few()
    empty = replace(
        good,
        repair=None,
        curves=tuple(replace(each, values=(None,) * len(each.at)) for each in good.curves),
        grids=tuple(replace(each, values=((None,) * len(each.columns),) * len(each.rows)) for each in good.grids),
    )
    found = told(empty)
    assert (found.first, found.more) == ((), ())
    assert found.sheets


@pytest.mark.parametrize("number", [1e308, -1e308, 5e-324])
def test_numbers_that_no_measure_has_are_drawn_at_the_edge(number: float) -> None:
    good = few()
    trial = replace(BEFORE, bits=abs(number), turned_back=2**62, degraded=1)
    wild = replace(
        good,
        values=(Value("margin", "degraded", "candidate", "parting", number, 1),),
        curves=tuple(replace(each, values=(number,) * len(each.at)) for each in good.curves),
        grids=tuple(replace(each, values=((number,) * len(each.columns),) * len(each.rows)) for each in good.grids),
        repair=replace(REPAIR, before=trial, trials=(trial,), chosen=None),
    )
    (read,) = RunReport.from_json(with_diagnoses(wild).to_json()).diagnoses
    assert len(told(read).first) + len(told(read).more) == 6


def test_steps_as_large_as_a_count_may_be_are_drawn() -> None:
    far = replace(few().curves[0], at=(0, 2**62, 2**63 - 1), values=(1.0, 2.0, 3.0))
    (chart,) = told(replace(few(), curves=(far,), grids=(), repair=None)).more
    assert chart.title == "Gate sign flips; at the end degraded 3"


def test_of_what_has_no_end_a_part_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MOST_CHARTS", 3)
    parts = tuple(replace(few().curves[0], part=str(number)) for number in range(10_000))
    found = told(replace(few(), curves=parts))
    assert len(found.first) + len(found.more) == len(found.sheets) == 3


def test_what_was_measured_at_the_subject_says_so() -> None:
    subject = tuple(replace(each, place="subject") for each in few().curves)
    found = told(replace(few(), curves=subject, grids=(replace(few().grids[0], place="subject"),), repair=None))
    assert found.first == ()
    assert all(", at the subject" in chart.title for chart in found.more)


def test_a_long_curve_is_drawn_and_listed_at_so_many_points() -> None:
    long = replace(diagnosis(2).curves[0], at=tuple(range(5_000)), values=(0.5,) * 5_000)
    found = told(replace(few(), curves=(long,), grids=(), repair=None))
    (sheet,) = (each for each in found.sheets if each.headings[0] == "layer")
    assert (len(sheet.rows), sheet.rows[-1][0]) == (shown.MOST_POINTS, "4999")


def test_a_grid_that_is_too_large_is_left_to_the_json() -> None:
    names = tuple(map(str, range(shown.LARGEST + 1)))
    large = Grid("cka", "degraded", "both", "parting", names, ("0",), ((1.0,),) * len(names), 1, "layer")
    found = told(replace(few(), curves=(), values=(), grids=(large,), repair=None))
    assert (found.first, found.more, found.sheets) == ((), (), ())


def test_of_many_diagnoses_the_first_ones_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MOST_DRAWN", 1)
    first, second = diagnoses(with_diagnoses(few(), replace(few(), candidate="int8")))
    assert first.first
    assert (second.first, second.more) == ((), ())
    assert second.sheets


def test_no_text_of_a_diagnosis_acts_or_hides() -> None:
    text = page(hostile(HOSTILE))
    found = Page(text)
    assert found.open == []
    assert len(found.texts["script"]) == 3
    assert "img" not in {tag for tag, _ in found.elements}
    assert "<!--" not in text
    assert all(each.isprintable() or each == "\n" for each in text)
