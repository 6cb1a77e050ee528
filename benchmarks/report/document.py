"""Writes figures between the markers of a document, and leaves every other word alone. Pure."""


class MarkerError(Exception):
    """The document lacks a marker, or has it twice."""


def begin(name: str) -> str:
    """The line before a section's figures."""
    return f"<!-- figures: {name} -->"


END = "<!-- end of figures -->"


def replace(document: str, name: str, figures: str) -> str:
    """The document with these figures in the place of the former ones."""
    head, found, rest = document.partition(begin(name))
    _, closed, tail = rest.partition(END)
    if not closed or document.count(found) != 1:
        raise MarkerError(f"expected {begin(name)!r} once, and {END!r} after it")
    return f"{head}{found}\n\n{figures}\n\n{closed}{tail}"
