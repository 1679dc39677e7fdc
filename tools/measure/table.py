"""How figures are shown: medians over the rounds, ratios taken within a round."""

from statistics import median

HEADINGS = ["", "target", "CPU µs/request", "user", "system", "× floor", "× nginx", "requests/s", "p50 µs", "p99 µs",
            "p99.9 µs", "RSS MB", "errors"]


def key(sample):
    return sample.scenario, sample.workers, sample.target


def ratio(samples, of, to):
    """The median of the ratios to another target in the same round; nothing when that was not measured."""
    others = {sample.round: sample for sample in samples if key(sample) == (*of[:2], to)}
    ratios = [sample.cpu / others[sample.round].cpu
              for sample in samples if key(sample) == of and sample.round in others and others[sample.round].cpu]
    return median(ratios) if ratios else None


def summary(samples):
    """One row for each scenario, number of workers and target, in the order of the first round."""
    rows = []
    for of in dict.fromkeys(key(sample) for sample in samples):
        mine = [sample for sample in samples if key(sample) == of]
        row = {"scenario": of[0], "workers": of[1], "target": of[2], "rounds": len(mine)}
        for name in ("cpu", "user", "system", "rate", "p50", "p99", "p999", "memory"):
            row[name] = median(getattr(sample, name) for sample in mine)
        idle = [sample.idle_memory for sample in mine if sample.idle_memory is not None]
        # What a target needs for idle connections is only seen when it has them for the first time.
        row["idle_memory"] = max(idle) if idle else None
        row["floor"] = ratio(samples, of, "relay")
        row["nginx"] = ratio(samples, of, "nginx")
        row["errors"] = sum(sample.errors for sample in mine)
        rows.append(row)
    return rows


def number(value, digits=1):
    return "" if value is None else f"{value:,.{digits}f}"


def cells(row, scaling):
    name = f"{row['scenario']} × {row['workers']}" if scaling else row["scenario"]
    return [
        name, row["target"], number(row["cpu"]), number(row["user"]), number(row["system"]), number(row["floor"], 2),
        number(row["nginx"], 2), number(row["rate"], 0), number(row["p50"], 0), number(row["p99"], 0),
        number(row["p999"], 0), number(row["memory"] / 1e6), str(row["errors"]),
    ]


def aligned(lines):
    """A Markdown table that can also be read as it is. The first two columns are words."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    def line(cells):
        fitted = [cell.ljust(width) if at < 2 else cell.rjust(width)
                  for at, (cell, width) in enumerate(zip(cells, widths))]
        return f"| {' | '.join(fitted)} |"
    rule = [("-" * width) if at < 2 else ("-" * (width - 1) + ":") for at, width in enumerate(widths)]
    return "\n".join([line(lines[0]), line(rule), *map(line, lines[1:])])


def text(samples):
    """All of it, for people."""
    rows = summary(samples)
    scaling = any(row["workers"] > 1 for row in rows)
    parts = [aligned([HEADINGS, *(cells(row, scaling) for row in rows)])]
    idle = [f"{row['target']} {row['idle_memory'] / 1024:.2f} KB" for row in rows if row["idle_memory"] is not None]
    if idle:
        parts.append(f"User memory of an idle connection: {', '.join(idle)}.")
    if scaling:
        parts += shares(samples)
    return "\n\n".join(parts)


def shares(samples):
    """How evenly work was spread over ELB's workers."""
    told = []
    for of in dict.fromkeys(key(sample) for sample in samples if sample.workers > 1):
        last = [sample for sample in samples if key(sample) == of][-1]
        spent = {name: time for name, time in last.threads.items() if name.startswith("elb-worker")}
        total = sum(spent.values())
        if not total:
            continue
        parts = ["CPU time " + ", ".join(f"{time / total:.0%}" for time in spent.values())]
        for name, what in (("accepted", "connections"), ("requests", "requests")):
            counted = [worker[name] for worker in last.shares]
            if counted and None not in counted:
                parts.append(f"{what} " + ", ".join(f"{share:.0f}%" for share in counted))
        told.append(f"{of[0]} × {of[1]}, {of[2]}: shares of the workers: {'; '.join(parts)}")
    return told
