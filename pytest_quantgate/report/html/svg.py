"""Figures of matplotlib as SVG that stands in the page: colours by class, so that they follow the theme.

The page's policy forbids style attributes, so each becomes a presentation attribute or a class. Names from outside
never reach matplotlib, which would read formulas in them and miss glyphs: it draws ``@0@``, and the name is put in
its place here.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from pytest_quantgate.report.html.texts import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from xml.etree.ElementTree import Element

    from matplotlib.figure import Figure

TINTS: Final = 9
"""Steps of each colour of a heat map, from the palest to the full one."""

COLOURS: Final = {
    "ink": "#010101",
    "soft": "#020202",
    "rule": "#030303",
    "pass": "#040404",
    "fail": "#050505",
    "doubt": "#060606",
    "paper": "#070707",
    **{
        f"{role}-{step}": f"#{number:02x}{step:02x}00"
        for number, role in enumerate(("ink", "pass", "fail"), 16)
        for step in range(TINTS)
    },
}
"""What each role is drawn in; the style sheet has its colours."""

LONGEST_LABEL: Final = 19
"""Characters of a name beside a chart; the table under it has the whole."""

_ROLES: Final = {colour: role for role, colour in COLOURS.items()}
_NAMED: Final = re.compile(r"@(\d+)@")
_KEPT: Final = frozenset({"font-size", "font-weight", "text-anchor", "stroke-width", "stroke-dasharray", "opacity"})


@contextmanager
def drawing() -> Iterator[None]:
    """Draw by matplotlib's own settings, whatever the user's are."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.fonttype"] = "none"  # text stays text, in the page's own font
        mpl.rcParams["svg.hashsalt"] = "quantgate"  # the same names in every run
        yield


def themed(figure: Figure, labels: Sequence[str], *, title: str) -> Markup:
    """A figure as an ``svg`` element of the page; equal figures give equal text.

    Args:
        figure: Drawn in ``COLOURS``, within ``drawing``.
        labels: What stands for ``@0@``, ``@1@``, ...
        title: What a screen reader says of it.
    """
    from defusedxml.ElementTree import fromstring, tostring

    page = StringIO()
    figure.savefig(page, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = fromstring(page.getvalue())
    for parent in root.iter():
        parent.tag = parent.tag.partition("}")[2]
        for child in list(parent):
            if child.tag.endswith(("}metadata", "}style")):
                parent.remove(child)
    for element in root.iter():
        _restyle(element)
        if element.text is not None and element.tag == "text":
            element.text = _NAMED.sub(lambda found: _cut(labels[int(found[1])]), element.text)
    view = root.attrib["viewBox"]
    root.attrib.clear()
    root.attrib.update({"viewBox": view, "role": "img", "aria-label": shown(title)})
    _rename(root)
    return Markup(tostring(root, encoding="unicode"))  # noqa: S704  (escaped by ElementTree)


def _cut(name: str) -> str:
    return shown(name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…")


def _restyle(element: Element) -> None:
    """Style attributes as classes and presentation attributes; what nothing refers to is left out."""
    style, kept, roles = element.attrib.get("style", ""), {}, []
    for declaration in filter(None, map(str.strip, style.split(";"))):
        key, _, value = map(str.strip, declaration.partition(":"))
        if key in ("fill", "stroke"):
            if value in _ROLES:
                roles.append(f"{key}-{_ROLES[value]}")
            else:
                kept[key] = value
        elif key in _KEPT:
            kept[key] = value.removesuffix("px")
    href = element.attrib.get("{http://www.w3.org/1999/xlink}href")
    wanted = {key: value for key, value in element.attrib.items() if not key.startswith("{") and key != "style"}
    if element.tag == "g":
        wanted.pop("id", None)
    if element.tag == "text" and wanted.get("transform", "").startswith("rotate(-0"):
        wanted.pop("transform")
    element.attrib.clear()
    element.attrib.update({**wanted, **kept})
    if href is not None:
        element.attrib["href"] = href
    if roles:
        element.attrib["class"] = " ".join(roles)


def _rename(root: Element) -> None:
    """Resolve references: an id must not stand twice in the page, and every chart has the same markers."""
    drawn = {f"#{each.attrib['id']}": each for each in root.iter() if "id" in each.attrib}
    for element in root.iter():
        if element.tag == "use" and (marker := drawn.get(element.attrib.pop("href", ""))) is not None:
            x, y = element.attrib.pop("x", "0"), element.attrib.pop("y", "0")
            element.tag = "path"
            element.attrib.update({"d": marker.attrib["d"], "transform": f"translate({x} {y})"})
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "defs":
                parent.remove(child)
        for element in parent:
            element.attrib.pop("id", None)
            element.attrib.pop("clip-path", None)
