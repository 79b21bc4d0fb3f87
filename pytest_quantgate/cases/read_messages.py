"""Reads the chat of a case: one prompt, or messages whose content is text or a list of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from pytest_quantgate.cases import fields
from pytest_quantgate.cases.model import Message, Role
from pytest_quantgate.cases.problems import quoted
from pytest_quantgate.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantgate.cases.nodes import Node
    from pytest_quantgate.cases.problems import Problems

_ROLES: Final[tuple[Role, ...]] = get_args(Role)
_PART_TYPES: Final = ("text", "image")
_IMAGE_TYPES: Final = frozenset({"image", "image_url", "input_image"})


def read_messages(pairs: Mapping[str, Node], line: int, problems: Problems) -> list[Message]:
    """Read the ``prompt`` or the ``messages`` of a case.

    Args:
        pairs: The case's keys.
        line: Where the case begins, for what is missing.
        problems: Where everything that is wrong is noted.

    Returns:
        The chat; to throw away when there are problems.
    """
    if "prompt" in pairs and "messages" in pairs:
        problems.add(pairs["messages"].line, "a case has 'prompt' or 'messages', not both")
    elif "prompt" in pairs:
        prompt = fields.text(pairs["prompt"], "'prompt'", problems)
        return [] if prompt is None else [Message("user", prompt)]
    elif "messages" in pairs:
        return _chat(pairs["messages"], problems)
    else:
        problems.add(line, "a case needs the key 'prompt', 'messages' or 'turns'")
    return []


def with_system(
    messages: list[Message], pairs: Mapping[str, Node], problems: Problems, *, default: str
) -> tuple[Message, ...]:
    """Put the system message in front: the chat's own, else the case's ``system``, else the default.

    Args:
        messages: The chat as written.
        pairs: The case's keys.
        problems: Where everything that is wrong is noted.
        default: For a case that says nothing of it; empty for none.
    """
    own = bool(messages) and messages[0].role == "system"
    system: str | None = "" if own else default
    if "system" in pairs:
        system = fields.text(pairs["system"], "'system'", problems, may_be_empty=True)
        if own:
            problems.add(pairs["system"].line, "a case has 'system' or a system message, not both")
    return (Message("system", system), *messages) if system else tuple(messages)


def _chat(node: Node, problems: Problems) -> list[Message]:
    found: list[Message] = []
    messages = fields.items(node, "'messages'", problems) or []
    for message in messages:
        pairs = fields.mapping(message, "a message", problems, known=("role", "content"), required=("role", "content"))
        if pairs is None or "role" not in pairs or "content" not in pairs:
            continue
        role = _role(pairs["role"], problems)
        content = _content(pairs["content"], problems)
        if role == "system" and message is not messages[0]:
            problems.add(message.line, "only the first message can be the system's")
        if role is not None and content is not None:
            found.append(Message(role, content))
    if found and len(found) == len(messages) and found[-1].role != "user":
        problems.add(messages[-1].line, "the last message must be the user's: it is the one to answer")
    return found


def _content(node: Node, problems: Problems) -> str | None:
    """Text, or a list of parts: the texts one after another, as they stand, with nothing between them."""
    if not isinstance(node.value, list):
        return fields.text(node, "'content'", problems)
    texts = [_part(part, problems) for part in fields.items(node, "'content'", problems) or ()]
    joined = "".join(text for text in texts if text is not None)
    if texts and None not in texts and not joined.strip():
        problems.add(node.line, "'content' must not be empty")
    return joined if texts and None not in texts else None


def _part(node: Node, problems: Problems) -> str | None:
    value = node.value
    if not isinstance(value, dict) or "type" not in value:
        # Said by the reader of mappings, which knows both mistakes.
        fields.mapping(node, "a part of 'content'", problems, known=("type", "text"), required=("type",))
        return None
    kind = fields.text(value["type"], "'type'", problems)
    if kind in _IMAGE_TYPES:
        problems.add(node.line, "images are not supported yet: a message can hold text only")
    elif kind == "text":
        pairs = fields.mapping(node, "a part of type 'text'", problems, known=("type", "text"), required=("text",))
        if pairs is not None and "text" in pairs:
            return fields.text(pairs["text"], "'text'", problems, may_be_empty=True)
    elif kind is not None:
        problems.add(
            value["type"].line,
            f"unknown type {quoted(kind)} of a part; {nearest(kind[: fields.LONGEST_NAME], _PART_TYPES)}",
        )
    return None


def _role(node: Node, problems: Problems) -> Role | None:
    role = fields.text(node, "'role'", problems)
    for known in _ROLES:
        if role == known:
            return known
    if role is not None:
        fields.unknown(node, "role", role, problems, known=_ROLES)
    return None
