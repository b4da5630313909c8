"""Lines of C that fit: where the comment goes, and where code breaks.

Owns the line length of generated code. Python is broken by the formatter; what C-like targets emit
is set as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

LINE_LENGTH = 100

#: What a line may break at, the loosest first: behind a comma, before an operator.
_LOOSEST = (",", "? :", "||", "&&", "== != < > <= >=", "+ -", "* /")


def fitted(line: str, indent: int) -> str:
    """A line of C in as many lines as it needs, set by a template `indent` characters in.

    A comment that has no room behind the code moves to a line before it. Code breaks where fewest
    brackets are open, and goes on below the last open one.

    >>> print(fitted(f"{'x' * 40} = larger({'a' * 20} + {'b' * 20}, {'c' * 20});  // (3)", 0))
    // (3)
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx = larger(aaaaaaaaaaaaaaaaaaaa + bbbbbbbbbbbbbbbbbbbb,
                                                      cccccccccccccccccccc);
    """
    width = LINE_LENGTH - indent
    if len(line) <= width:
        return line
    code, mark, comment = line.rpartition("  // ") if "  // " in line else (line, "", "")
    start = len(code) - len(code.lstrip())
    lines = [f"{' ' * start}// {comment}"] if mark else []
    column = start + 4
    while len(code) > width:
        places = [place for place in _places(code, column) if place[2] <= width]
        if not places:
            break
        *_, at, column = min(places, key=lambda place: (place[0], place[1], -place[2]))
        lines.append(code[:at])
        code = " " * column + code[at:].lstrip()
    return ("\n" + " " * indent).join([*lines, code])


def _places(code: str, column: int) -> Iterator[tuple[int, int, int, int]]:
    """Where a line may break: open brackets, looseness, the place, and where the rest begins."""
    opened: list[int] = []
    closed = 0
    for at, sign in enumerate(code):
        if sign in "([{":
            opened.append(at + 1)
        elif sign in ")]}" and opened:
            opened.pop()
        elif sign in ")]}":
            closed += 1
        elif sign == " ":
            below = opened[-1] if opened else column
            word = "," if code[at - 1] == "," else code[at + 1 :].partition(" ")[0]
            looseness = next((i for i, words in enumerate(_LOOSEST) if word in words.split()), None)
            if looseness is not None and at > below:
                yield len(opened) - closed, looseness, at, below
