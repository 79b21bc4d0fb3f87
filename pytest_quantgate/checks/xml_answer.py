"""The check of XML: xml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from pytest_quantgate.checks.fences import NoStructureError, block_decided, structured_text
from pytest_quantgate.checks.finding import Finding, followed, quoted, unscored, violated

if TYPE_CHECKING:
    from pytest_quantgate.checks.registry import CheckRegistry
    from pytest_quantgate.checks.settings import GradingSettings

MAX_DEPTH = 100
"""Deepest nesting of elements; deeper ones are violations."""

CHARACTERS = 100_000
"""Longest XML that is read: the hardened parser takes some two seconds of processor time for a megabyte of elements."""

_MARKS = ("xml",)
_PATH = re.compile(r"\.|[^\W\d][\w.-]*+(?:/[^\W\d][\w.-]*+)*+")


def xml_document(
    answer: str,
    *,
    root: str = "",
    elements: Sequence[str] = (),
    counts: Mapping[str, Any] | None = None,
    attributes: Mapping[str, Any] | None = None,
    texts: Mapping[str, Any] | None = None,
) -> Finding:
    """The answer is one well-formed XML document; with arguments, it holds what they name.

    Where the XML is follows the rule of the check ``json``, with fences marked ``xml``. A path names elements from the
    root down, without the root: ``author/name``; ``.`` is the root itself. Prefixes of namespaces are ignored:
    ``a:name`` is named ``name``. Elements and attributes that no argument names are allowed. Violations: a DTD, so that
    no entity is ever expanded and nothing external is read (the five entities of XML and character references are
    fine); more than 100 levels. Not scored: more than 100,000 characters of XML.

    Args:
        answer: What a model answered.
        root: The root element's name.
        elements: Paths that lead to at least one element each.
        counts: How many elements a path leads to.
        attributes: For a path, the attributes that every element there has: their values, or null for any value.
        texts: For a path, the text of the one element there, or a list of the texts of all elements there, in order.
            All text inside an element counts, that of its children too; white space around it and its width do not.
    """
    try:
        text = structured_text(answer, _MARKS)
        if len(text) > CHARACTERS:
            return unscored(f"{len(text):,} characters are too many to be read as XML")
        document = _document(text)
    except NoStructureError as problem:
        return violated(str(problem))
    if root and _local(document.tag) != root:
        return violated(f"the root element is {quoted(_local(document.tag))}, not {quoted(root)}")
    faults = chain(
        _element_faults(document, elements, counts or {}),
        _attribute_faults(document, attributes or {}),
        _text_faults(document, texts or {}),
    )
    fault = next(faults, None)
    if fault is not None:
        return violated(fault)
    return followed("the answer is XML" if not (root or elements or counts or attributes or texts) else "all is there")


def xml_decided(so_far: str, **arguments: Any) -> bool | None:
    """False once there is a fence too many or of another format, or a closed block that lacks what is wanted."""
    return block_decided(so_far, _MARKS, partial(xml_document, **arguments))


def xml_problems(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Paths are paths, and what is wanted there can be."""
    for name in ("elements", "counts", "attributes", "texts"):
        for path in arguments.get(name, ()):
            if not _PATH.fullmatch(path):
                yield f"argument {name!r} holds {quoted(path)}, which is no path such as 'author/name' or '.'"
    for path, count in arguments.get("counts", {}).items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            yield f"argument 'counts' must give {quoted(path)} a whole number, 0 or more"
    for path, wanted in arguments.get("attributes", {}).items():
        if not isinstance(wanted, Mapping) or not all(
            value is None or isinstance(value, str) for value in wanted.values()
        ):
            yield f"argument 'attributes' must give {quoted(path)} a mapping of names to texts (quote numbers) or null"
    for path, wanted in arguments.get("texts", {}).items():
        listed = wanted if isinstance(wanted, list) else [wanted]
        if not all(isinstance(text, str) for text in listed):
            yield f"argument 'texts' must give {quoted(path)} a text or a list of texts (quote numbers)"


class _Bounded(TreeBuilder):
    """Builds a tree of at most ``MAX_DEPTH`` levels: walking deeper ones would be recursion without end."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: Any, attrs: Any) -> Element:
        """An element begins."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            msg = f"XML nested more than {MAX_DEPTH} levels deep"
            raise NoStructureError(msg)
        return super().start(tag, attrs)

    def end(self, tag: Any) -> Element:
        """An element ends."""
        self._depth -= 1
        return super().end(tag)


def _document(text: str) -> Element:
    """The root element.

    Raises:
        NoStructureError: The text is not well-formed, has a DTD or is nested too deep.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True)
    try:
        parser.feed(text)
        document: Element = parser.close()
    except NoStructureError:
        raise
    except DefusedXmlException:
        msg = "XML with a DTD or entities, which are not read"
        raise NoStructureError(msg) from None
    except (ParseError, UnicodeError, ValueError) as error:
        msg = f"not XML: {error}"
        raise NoStructureError(msg) from None
    return document


def _local(tag: str) -> str:
    """A name without its namespace, which the parser puts before it in braces."""
    return tag.rpartition("}")[2]


def _at(document: Element, path: str) -> Sequence[Element]:
    found = [document]
    for name in path.split("/") if path != "." else ():
        found = [child for element in found for child in element if _local(child.tag) == name]
    return found


def _element_faults(document: Element, elements: Iterable[str], counts: Mapping[str, int]) -> Iterator[str]:
    for path in elements:
        if not _at(document, path):
            yield f"no element {quoted(path)}"
    for path, count in counts.items():
        if (found := len(_at(document, path))) != count:
            yield f"{found} elements {quoted(path)}, not {count}"


def _attribute_faults(document: Element, attributes: Mapping[str, Mapping[str, str | None]]) -> Iterator[str]:
    for path, wanted in attributes.items():
        found = _at(document, path)
        if not found:
            yield f"no element {quoted(path)}"
        for element in found:
            given = {_local(name): value for name, value in element.attrib.items()}
            for name, value in wanted.items():
                if name not in given:
                    yield f"an element {quoted(path)} has no attribute {quoted(name)}"
                elif value not in (None, given[name]):
                    found_value = quoted(given[name])
                    yield f"the attribute {quoted(name)} of {quoted(path)} is {found_value}, not {quoted(str(value))}"


def _text_faults(document: Element, texts: Mapping[str, str | Sequence[str]]) -> Iterator[str]:
    for path, wanted in texts.items():
        listed = [wanted] if isinstance(wanted, str) else wanted
        found = _at(document, path)
        if len(found) != len(listed):
            yield f"{len(found)} elements {quoted(path)}, not {len(listed)}"
            return
        for element, text in zip(found, listed, strict=True):
            shown = " ".join("".join(element.itertext()).split())
            if shown != " ".join(text.split()):
                yield f"the text of {quoted(path)} is {quoted(shown)}, not {quoted(text)}"


def register(registry: CheckRegistry, _settings: GradingSettings) -> None:
    """Add this family's checks."""
    registry.register("xml", xml_document, validate=xml_problems, decided=xml_decided)
