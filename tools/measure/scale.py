"""The parts of `tools/scale`: each puts much configuration into an ELB of its own, and prints what that took."""

import json
import socket
import statistics
import subprocess
import threading
import time

from . import admin, machine, rounds
from .machine import Trouble

MB = 1e6


def show(what, text):
    print(f"  {what:44} {text}", flush=True)


def spread(times):
    """Times in seconds as the median, the 99th of a hundred, and the longest."""
    ordered = sorted(times)
    at = lambda part: ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))] * 1e3
    return f"median {at(0.5):.2f} ms, p99 {at(0.99):.2f} ms, longest {at(1):.2f} ms"


def backend(upstream):
    return {"type": "backend", "args": {"servername": upstream}}


def four_rules(number, upstreams):
    """A domain that looks at the path and at the browser."""
    to = lambda more: f"up{(number + more) % upstreams}"
    return {"init": "api", "rules": {
        "api": {"type": "path", "args": {"pattern": "/api/", "succ": "back", "fail": "phone"}},
        "phone": {"type": "ua", "args": {"pattern": "iPhone|Android", "succ": "small", "fail": "back"}},
        "small": backend(to(1)), "back": backend(to(0)),
    }}


def large(domains):
    """A document of domains of four rules each, and a fifth as many upstreams."""
    upstreams = max(2, domains // 5)
    return {
        "domains": {f"d{number}.test": four_rules(number, upstreams) for number in range(domains)},
        "upstreams": {f"up{number}": {f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:8000": "weight=1"}
                      for number in range(upstreams)},
    }


def changes(elb, count=50):
    """Seconds that each of some changes of one domain took until it was answered, which is after it is served."""
    return [elb.timed("PUT", "domain", {"d7.test": {"init": "r", "rules": {"r": backend(f"up{number % 2}")}}})
            for number in range(count)]


def load(options, processes, folder):
    document = large(options.domains)
    text = json.dumps(document)
    path = folder / "data.json"
    path.write_text(text)
    etcd = admin.etcd(processes, folder)
    for place, flags, port in [("a file", ("--store", f"file:{path}"), None), ("etcd", (), etcd)]:
        own = folder / f"from-{place.split()[-1]}"
        own.mkdir()
        if port:
            first = admin.Elb(processes, options.elb, own, etcd=port)
            show("PUT of all, with dump to etcd", f"{first.timed('PUT', 'config?dump=1', text):.1f} s")
            processes.end(first.process)
            (own / "state.json").unlink(missing_ok=True)
        elb = admin.Elb(processes, options.elb, own, *flags, etcd=port, patience=120)
        show(f"start from {place}", f"{elb.ready_after:.1f} s, {elb.memory() / MB:.0f} MB, "
             f"{elb.memory() / options.domains / 1e3:.2f} KB a domain, peak {elb.peak() / MB:.0f} MB")
        show("one more change, while that is packed and kept", spread(changes(elb)))
        elb.rest()
        show("one more change, then", spread(changes(elb)))
        half = {name: {"init": "r", "rules": {"r": backend("up0")}}
                for number, name in enumerate(document["domains"]) if number % 2}
        version = elb.told("GET", "status")["configuration"]["version"]
        show("another rule set for half of them", f"{elb.timed('PATCH', 'config?confirm=1', {'domains': half}):.2f} s")
        show("a rollback over half of them", f"{elb.timed('POST', 'rollback', {'to': version}):.2f} s, "
             f"then {elb.memory() / MB:.0f} MB")
        processes.end(elb.process)


def peers(options, processes, folder):
    """As many domains in nginx, each with a location and a test of the browser, and in HAProxy, which has a map from a host to a backend."""
    count, upstreams = options.domains, max(2, options.domains // 5)
    document = large(count)
    servers = {name: next(iter(servers)) for name, servers in document["upstreams"].items()}
    ports = {peer: machine.free_port() for peer in ("nginx", "haproxy")}
    nginx = folder / "nginx.conf"
    with nginx.open("w") as out:
        out.write(f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;\n"
                  "events { worker_connections 1024; }\nhttp { access_log off; server_names_hash_max_size 1048576;\n"
                  "server_names_hash_bucket_size 128; variables_hash_max_size 4096;\n")
        out.writelines(f"upstream {name} {{ server {address}; keepalive 16; }}\n" for name, address in servers.items())
        for number in range(count):
            back, small = f"up{number % upstreams}", f"up{(number + 1) % upstreams}"
            out.write(f"server {{ listen 127.0.0.1:{ports['nginx']}; server_name d{number}.test;\n"
                      f"location /api/ {{ proxy_pass http://{back}; }}\n"
                      f"location / {{ if ($http_user_agent ~ iPhone|Android) {{ proxy_pass http://{small}; }}"
                      f" proxy_pass http://{back}; }} }}\n")
        out.write("}\n")
    (folder / "hosts.map").write_text("".join(f"d{number}.test up{number % upstreams}\n" for number in range(count)))
    haproxy = folder / "haproxy.cfg"
    with haproxy.open("w") as out:
        out.write("global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
                  f"frontend all\n bind 127.0.0.1:{ports['haproxy']}\n"
                  f" use_backend %[req.hdr(host),lower,map({folder}/hosts.map,up0)]\n")
        out.writelines(f"backend {name}\n server s {address}\n" for name, address in servers.items())
    for peer, command in (("nginx", ("-c", nginx, "-p", folder)), ("haproxy", ("-f", haproxy, "-db"))):
        machine.need(peer)
        began = time.monotonic()
        process = processes.start((machine.find(peer), *command), set(machine.cores()),
                                  stderr=(folder / f"{peer}.log").open("w"))
        while process.poll() is None and time.monotonic() - began < 300:
            try:
                socket.create_connection(("127.0.0.1", ports[peer]), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        else:
            raise Trouble(f"{peer}: {(folder / f'{peer}.log').read_text()[-500:]}")
        took, memory = time.monotonic() - began, machine.memory(process.pid)
        show(f"{peer}, {count:,} domains", f"{took:.1f} s, {memory / MB:.0f} MB, {memory / count / 1e3:.2f} KB a domain")
        processes.end(process)


def patterns(options, processes, folder):
    count = options.patterns
    rules = lambda number: {"init": "p", "rules": {
        "p": {"type": "path", "args": {"pattern": f"^/items/{number}/(\\d+)/[a-z]+$", "regex": True, "succ": "r"}},
        "r": {"type": "respond", "args": {"status": 204}}}}
    text = json.dumps({"domains": {f"d{number}.test": rules(number) for number in range(count)}, "upstreams": {}})
    elb = admin.Elb(processes, options.elb, folder, "--store", f"file:{folder / 'data.json'}")
    empty = elb.memory()
    before = elb.cpu()
    took = elb.timed("PUT", "config", text)
    show(f"PUT of {count:,} patterns ({len(text) / MB:.0f} MB)",
         f"{took:.1f} s, {elb.cpu() - before:.1f} s of CPU, then {elb.memory() / MB:.0f} MB, peak {elb.peak() / MB:.0f} MB")
    time.sleep(2)
    steady = elb.memory()
    show("two seconds later", f"{steady / MB:.0f} MB")
    some = range(0, count, max(1, count // 2000))
    first, again = (asked(elb, some) for _ in range(2))
    show("first use, each on a connection of its own", spread(first))
    show("the same once more", spread(again))
    show("a first use is longer by", spread([max(0, one - two) for one, two in zip(first, again)]))
    elb.forget_peak()
    took = elb.timed("PUT", "dump")
    show("dump", f"{took:.1f} s, peak {elb.peak() / MB:.0f} MB: {elb.peak() / steady:.2f} of {steady / MB:.0f} MB")
    processes.end(elb.process)
    (folder / "state.json").unlink(missing_ok=True)
    elb = admin.Elb(processes, options.elb, folder, "--store", f"file:{folder / 'data.json'}")
    show("start from a file of them", f"{elb.ready_after:.1f} s, {elb.memory() / MB:.0f} MB, peak {elb.peak() / MB:.0f} MB")
    took = elb.timed("PUT", "config?confirm=1&dump=1", {"domains": {}, "upstreams": {}})
    show("nothing in place of all", f"{took:.1f} s, then {elb.memory() / MB:.0f} MB")
    for wait in (1, 4, 10):
        time.sleep(wait)
        show(f"{wait} s later", f"{elb.memory() / MB:.0f} MB ({empty / MB:.0f} MB before all)")


def asked(elb, numbers):
    """Seconds of a request for each of these domains."""
    times = []
    for number in numbers:
        began = time.monotonic()
        status, _ = elb.ask("GET", f"/items/{number}/1/a", host=f"d{number}.test")
        times.append(time.monotonic() - began)
        if status != 204:
            raise Trouble(f"d{number}.test: {status}")
    return times


class Traffic:
    """An ELB in front of an origin, and a load on it."""

    def __init__(self, options, processes, folder, *flags):
        cores = machine.cores()
        self.options, self.processes, self.ours = options, processes, {cores[-1]}
        origin = machine.free_port()
        command = (machine.tool("origin"), "--listen", f"127.0.0.1:{origin}", "--threads", 1)
        self.origin = processes.start(command, self.ours)
        self.elb = admin.Elb(processes, options.elb, folder, "--store", f"file:{folder / 'data.json'}", *flags)
        document = large(1_000)
        document["domains"]["bench.test"] = {"init": "r", "rules": {"r": backend("bench")}}
        document["upstreams"]["bench"] = {f"127.0.0.1:{origin}": ""}
        self.document = document
        self.elb.told("PUT", "config", document)

    def run(self, seconds, *more):
        """What a load of so many seconds saw."""
        command = (machine.tool("load"), "--target", f"127.0.0.1:{self.elb.port}", "--connections", 16,
                   "--threads", 1, "--seconds", seconds, "--warmup", 0.5, *more)
        process = self.processes.start(command, self.ours, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        event = {"event": ""}
        while event["event"] != "end":
            event = rounds.next_event(process, "elb")
            if event["event"] == "begin":
                gauge = rounds.Gauge(self.elb.process.pid)
        each, *_, spent = gauge.read(event["requests"])
        worker = sum(time for name, time in spent.items() if name.startswith("elb-worker"))
        process.stdin.close()
        self.processes.end(process)
        return {**event, "cpu": each, "worker": worker * 1e6 / max(event["requests"], 1)}


class Changing:
    """Changes of one domain at a rate, for as long as the block lasts."""

    def __init__(self, elb, rate):
        self.elb, self.rate, self.over, self.done = elb, rate, threading.Event(), 0

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def run(self):
        began = time.monotonic()
        while not self.over.wait(max(0, began + self.done / self.rate - time.monotonic())):
            self.elb.told("PUT", "domain", {"d7.test": {"init": "r", "rules": {"r": backend(f"up{self.done % 2}")}}})
            self.done += 1


class Shadowing:
    """A shadow of the same routing, for as long as the block lasts."""

    def __init__(self, traffic, seconds):
        self.elb, self.body = traffic.elb, {"config": traffic.document, "seconds": seconds, "sample": 1}

    def __enter__(self):
        self.elb.told("POST", "shadow", self.body)

    def __exit__(self, *_):
        self.elb.told("DELETE", "shadow")


class Quiet:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def traffic(options, processes, folder):
    running = Traffic(options, processes, folder)
    # A rate that leaves both cores idle for a part of the time: what is measured is a wait for ELB, not for the load.
    paced = ("--rate", 5_000)
    kinds = {
        "quiet": Quiet,
        f"{options.rate} changes a second": lambda: Changing(running.elb, options.rate),
        "a shadow of all": lambda: Shadowing(running, options.seconds + 30),
    }
    seen = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind, block in kinds.items():
            with block():
                seen[kind].append(running.run(options.seconds, *paced))
    for kind, events in seen.items():
        median = lambda key: statistics.median(event[key] for event in events)
        ratio = statistics.median(event["p99"] / quiet["p99"] for event, quiet in zip(events, seen["quiet"]))
        cost = statistics.median(event["worker"] / quiet["worker"] for event, quiet in zip(events, seen["quiet"]))
        show(kind, f"p50 {median('p50'):.0f} µs, p99 {median('p99'):.0f} µs ({ratio:.2f} × quiet), p99.9 {median('p99.9'):.0f} µs, "
             f"{median('worker'):.2f} µs of a worker each ({cost:.3f} ×), {sum(event['errors'] for event in events)} errors")


def shadow(options, processes, folder):
    log = folder / "access.log"
    running = Traffic(options, processes, folder, "--access-log", log, "--access-log-format", "combined")
    seconds = 6 * options.seconds
    candidate = dict(running.document, domains=dict(running.document["domains"]))
    candidate["domains"]["bench.test"] = {"init": "p", "rules": {
        "p": {"type": "path", "args": {"pattern": "/", "succ": "other", "fail": "r"}},
        "other": backend("up1"), "r": backend("bench")}}
    before = lines(log)
    running.elb.told("POST", "shadow", {"config": candidate, "seconds": seconds + 60, "sample": 1})
    event = running.run(seconds)
    time.sleep(2)
    told = running.elb.told("GET", "shadow")
    show(f"{seconds} s at full load", f"{event['requests'] / event['seconds']:,.0f} requests a second")
    show("a shadow of all of them", json.dumps({key: told[key] for key in told if isinstance(told[key], (int, str))}))
    show("lines of the access log", f"{lines(log) - before:,}")


def lines(path):
    if not path.exists():
        return 0
    with path.open("rb") as text:
        return sum(block.count(b"\n") for block in iter(lambda: text.read(1 << 20), b""))


PARTS = {"load": load, "peers": peers, "patterns": patterns, "traffic": traffic, "shadow": shadow}
