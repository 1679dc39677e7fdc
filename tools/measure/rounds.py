"""How one figure is taken: a load is put on a target, and the target's CPU time is read at both ends of it."""

import json
import select
import subprocess
from dataclasses import dataclass, field

from . import machine

# Longest silence of a load that works.
PATIENCE = 120


@dataclass
class Sample:
    """One scenario, one target, one round. Times are in microseconds, memory is in bytes."""

    scenario: str
    target: str
    workers: int
    round: int
    requests: int
    seconds: float
    cpu: float
    user: float
    system: float
    p50: float
    p99: float
    p999: float
    errors: int
    memory: int
    idle_memory: float | None = None
    threads: dict = field(default_factory=dict)
    # Of each worker: how many per cent of the connections and of the requests since the start were its own.
    shares: list = field(default_factory=list)

    @property
    def rate(self):
        return self.requests / self.seconds


class Gauge:
    """CPU time between two moments."""

    def __init__(self, pid):
        self.pid = pid
        self.before = machine.cpu(pid)
        self.threads = machine.cpu_by_thread(pid)

    def read(self, requests):
        """CPU time, user and system, in microseconds for each request; and the time of each thread, in seconds."""
        total, user, system = (now - then for now, then in zip(machine.cpu(self.pid), self.before))
        threads = machine.cpu_by_thread(self.pid)
        spent = {name: time - self.threads.get(name, 0) for name, time in threads.items()}
        ticks = max(user + system, 1e-9)
        each = total * 1e6 / max(requests, 1)
        return each, each * user / ticks, each * system / ticks, spent


def shares(running, spent):
    """How connections and requests were spread over the workers of an ELB."""
    if running.workers == 1 or not any(name.startswith("elb-worker") for name in spent):
        return []
    # Workers report once a second, and the last second of a load is like the others.
    return [worker["share"] for worker in machine.workers(running.port) if "share" in worker]


def measure(running, scenario, number, options, processes, *, on, threads):
    """Puts the load of a scenario on a target, and returns the sample."""
    command = [
        machine.tool("load"), "--target", f"127.0.0.1:{running.port}", "--path", scenario.path,
        "--connections", scenario.connections, "--threads", threads,
        "--seconds", scenario.seconds(options.seconds), "--warmup", options.warmup, *scenario.load,
    ]
    process = processes.start(command, on, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    gauge = warm = None
    while True:
        event = next_event(process, running.name)
        if event["event"] == "warm":
            warm = machine.memory(running.pid)
        elif event["event"] == "begin":
            gauge = Gauge(running.pid)
        else:
            break
    if gauge is None:
        raise machine.Trouble("the load ended before it had begun")
    each, user, system, spent = gauge.read(event["requests"])
    memory = machine.memory(running.pid)
    spread = shares(running, spent)
    # Until now it has kept its connections.
    process.stdin.close()
    processes.end(process)
    return Sample(
        scenario.name, running.name, running.workers, number, event["requests"], event["seconds"], each, user, system,
        event["p50"], event["p99"], event["p99.9"], event["errors"], memory,
        (memory - warm) / scenario.idle if warm else None, spent, spread)


def ask(running, scenario, requests, processes, *, on):
    """Puts so many requests on a target, and returns how many failed. Some more may be under way at the end."""
    command = (machine.tool("load"), "--target", f"127.0.0.1:{running.port}", "--path", scenario.path,
               "--connections", scenario.connections, "--requests", requests, *scenario.load)
    process = processes.start(command, on, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    event = next_event(process, running.name)
    process.stdin.close()
    processes.end(process)
    return event["errors"]


def next_event(process, name):
    ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise machine.Trouble(f"the load on {name} {'says nothing' if not ready else 'ended'}")
    return json.loads(line)


# ----------------------------------------------------------------------------------------------------------------- wrk

BROWSER = {
    "Connection": "keep-alive",
    "Cache-Control": "max-age=0",
    "sec-ch-ua": '"Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Sec-Fetch-Site": "same-origin",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Cookie": "session=eyJhbGciOiJIUzI1NiJ9.eyJ1IjoxfQ; theme=dark; consent=2025-02-04",
}

REPORT = """
function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        '\\n{"seconds": %f, "requests": %d, "errors": %d, "p50": %f, "p99": %f, "p99.9": %f}\\n',
        summary.duration / 1e6, summary.requests, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""


def measure_with_wrk(running, scenario, number, options, processes, *, on, threads, folder):
    """The same with wrk, which has no warm-up of its own and checks statuses only."""
    script = folder / "report.lua"
    body = f'wrk.method = "POST"\nwrk.body = string.rep("x", {scenario.post})\n' if scenario.post else ""
    script.write_text(body + REPORT)
    headers = {"Host": "bench.test", **(BROWSER if scenario.browser else {})}
    named = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]

    def run(seconds):
        command = ["wrk", "-t", threads, "-c", scenario.connections, "-d", f"{max(1, round(seconds))}s",
                   "-s", script, *named, f"http://127.0.0.1:{running.port}{scenario.path}"]
        process = processes.start(command, on, stdout=subprocess.PIPE)
        told = process.communicate()[0].decode()
        processes.end(process)
        if process.returncode != 0:
            raise machine.Trouble(f"wrk failed:\n{told}")
        return json.loads(told.strip().splitlines()[-1])

    run(options.warmup)
    gauge = Gauge(running.pid)
    told = run(options.seconds)
    each, user, system, spent = gauge.read(told["requests"])
    return Sample(
        scenario.name, running.name, running.workers, number, told["requests"], told["seconds"], each, user, system,
        told["p50"], told["p99"], told["p99.9"], told["errors"], machine.memory(running.pid), None, spent,
        shares(running, spent))
