"""Reads what callgrind writes: the instructions of each source line, and how often each function was called.

The format is in valgrind's manual, "Callgrind Format Specification". Of the instructions only those of a place itself
are read, not those of the functions that are called from it.
"""

import re
from collections import Counter
from typing import NamedTuple

NAMED = re.compile(r"\((\d+)\)(?: (.*))?")


class Place(NamedTuple):
    """Where instructions are: a function of the binary, and the file and line that they come from.

    With inlining the file is often not the one of the function.
    """

    function: str
    file: str
    line: int


class Profile:
    """Instructions by place, and calls by function."""

    def __init__(self):
        self.costs = Counter()
        self.calls = Counter()

    def less(self, other, by):
        """What there is more than in another one, divided by a number."""
        result = Profile()
        for mine, theirs, left in ((self.costs, other.costs, result.costs), (self.calls, other.calls, result.calls)):
            left.update({key: (mine[key] - theirs[key]) / by for key in {*mine, *theirs} if mine[key] != theirs[key]})
        return result

    def sum(self, place):
        """The instructions summed up by what `place` makes of a place."""
        summed = Counter()
        for at, cost in self.costs.items():
            summed[place(at)] += cost
        return summed


def read(paths):
    """All of several files together."""
    profile = Profile()
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as lines:
            read_one(lines, profile)
    return profile


def read_one(lines, profile):
    files, functions = {}, {}
    function = file = callee = ""
    line = 0
    is_call = False
    for text in lines:
        text = text.rstrip("\n")
        head, _, rest = text.partition("=")
        if head in ("fl", "fi", "fe"):
            file = named(files, rest)
        elif head == "fn":
            function = named(functions, rest)
        elif head in ("cfi", "cfl"):
            named(files, rest)
        elif head == "cfn":
            callee = named(functions, rest)
        elif head == "calls":
            profile.calls[callee] += int(rest.split()[0])
            is_call = True
        elif text[:1].isdigit() or text[:1] in ("+", "-", "*"):
            position, _, cost = text.partition(" ")
            line = moved(line, position)
            if not is_call and cost:
                profile.costs[Place(function, file, line)] += int(cost.split()[0])
            is_call = False


def named(known, text):
    """A name that is given in full once, with a number that stands for it later."""
    match = NAMED.match(text)
    if not match:
        return text
    number, name = match.groups()
    return known.setdefault(number, name) if name else known.get(number, "?")


def moved(line, position):
    """A position may be relative to the last one."""
    if position == "*":
        return line
    return line + int(position) if position[0] in "+-" else int(position)

