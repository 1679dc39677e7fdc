"""Reads what callgrind writes: the instructions of each source line, by the function that they were compiled into.

The format is in valgrind's manual, "Callgrind Format Specification". Only what belongs to a place itself is read, not
what the functions cost that are called from it.
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


def read(paths):
    """Instructions by place, of several files together."""
    costs = Counter()
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as lines:
            read_one(lines, costs)
    return costs


def read_one(lines, costs):
    names = {"file": {}, "function": {}}
    function = file = ""
    line = 0
    called = False
    for text in lines:
        text = text.rstrip("\n")
        head, equals, rest = text.partition("=")
        if equals and head in ("fl", "fi", "fe"):
            file = named(names["file"], rest)
        elif equals and head == "fn":
            function = named(names["function"], rest)
        elif equals and head in ("cfi", "cfl"):
            named(names["file"], rest)
        elif equals and head == "cfn":
            named(names["function"], rest)
        elif equals and head == "calls":
            called = True
        elif text[:1].isdigit() or text[:1] in ("+", "-", "*"):
            position, _, cost = text.partition(" ")
            line = moved(line, position)
            if not called and cost:
                costs[Place(function, file, line)] += int(cost.split()[0])
            called = False


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


def by(costs, place):
    """The costs summed up by what `place` makes of a place."""
    summed = Counter()
    for at, cost in costs.items():
        summed[place(at)] += cost
    return summed
