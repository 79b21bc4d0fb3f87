"""A check of our own: slice files ask for it by its name."""

from pytest_quantgate.checks.finding import followed, quoted, unscored, violated


def signed(answer, *, name: str, full_answer):
    """The last line of the answer is a name, as under a letter; white space around it does not matter.

    Not scored: an answer that was cut off.
    """
    if full_answer.finish_reason == "length":
        return unscored("the answer was cut off")
    lines = answer.strip().splitlines()
    if not lines:
        return violated("the answer is empty")
    last = lines[-1].strip()
    if last == name:
        return followed(f"the last line is {quoted(last)}")
    return violated(f"the last line is {quoted(last)}")


def pytest_quantgate_register_checks(registry):
    """Called by pytest-quantgate before the first slice file is loaded."""
    registry.register("signed", signed, shorthand="name")
