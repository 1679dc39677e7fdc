"""What is asked: each scenario in the words of `tools/load`, and in wrk's where wrk can say it."""

import math
from dataclasses import dataclass, field

DOMAINS = 10_000
METHODS = ("round_robin", "least_conn", "ewma")


@dataclass(frozen=True)
class Scenario:
    name: str
    about: str
    # Arguments of `load`.
    load: tuple = ()
    # Arguments of the relay.
    relay: tuple = ()
    # Which configuration the proxies get: one domain, many, or many with these rules.
    config: str = "one"
    connections: int = 64
    path: str = "/128"
    post: int = 0
    browser: bool = False
    wrk: bool = False
    idle: int = 0
    options: dict = field(default_factory=dict)
    # Servers that take their time, in the place of the origin that takes none: how many, and arguments of `farm`.
    servers: int = 0
    farm: tuple = ()
    # Methods of balancing, each of which is a target of its own; a peer has those that it knows.
    methods: tuple = ("round_robin",)
    # Seconds after which the load repeats itself: it is measured for whole cycles only.
    cycle: float = 0

    @property
    def is_counted(self):
        """Whether what requests cost can be counted exactly: all are alike, and nothing depends on a clock."""
        return not self.idle and "--rate" not in self.load

    def seconds(self, asked):
        return self.cycle * max(1, math.ceil(asked / self.cycle)) if self.cycle else asked


ALL = [
    Scenario("s1", "small GET, 64 keep-alive connections, 128-byte body", wrk=True),
    Scenario("s2", "the same with 12 browser headers and 13 response headers",
             load=("--browser", "true"), path="/rich", browser=True, wrk=True),
    Scenario("s3", "16 KiB response", load=("--body", 16 << 10), path="/16k", wrk=True),
    Scenario("s4", "1 MiB response, 16 connections", load=("--body", 1 << 20), relay=("--buffer", 1 << 20),
             path="/1m", connections=16, wrk=True),
    Scenario("s5", "POST of 16 KiB", load=("--post", 16 << 10), post=16 << 10, wrk=True),
    Scenario("s6", "a connection per request", load=("--once", "true"), relay=("--once", "true")),
    Scenario("s7", "512 connections", connections=512, wrk=True),
    Scenario("s9", "s1 while 9,800 other keep-alive connections idle", load=("--idle", 9800), idle=9800),
    Scenario("s10", "open loop of 8,000 requests/s: latency from the due time", load=("--rate", 8000)),
    Scenario("r1", "10,000 domains, each request another one", load=("--hosts", DOMAINS), config="domains"),
    Scenario("r2", "r1 with a user agent regex, two path regexes, then the backend", load=("--hosts", DOMAINS),
             config="rules", path="/shop/item/128"),
    Scenario("q1", "r1 with one question of each kind (header, method, query, cookie, client, host), then the backend",
             load=("--hosts", DOMAINS), config="questions"),
    Scenario("q2", "r1 with a split by client", load=("--hosts", DOMAINS), config="split"),
    # 8 servers of 4 places answer 3,200 requests/s at 10 ms each; this is 60 % of it.
    Scenario("t1", "the tail: 8 servers of 4 places, one 10 × slower for 5 s of every 10; 1,920 requests/s, whole cycles",
             load=("--rate", 1920), connections=512, servers=8, farm=("--places", 4, "--slow-factor", 10),
             methods=METHODS, cycle=10),
]
NAMES = [scenario.name for scenario in ALL]


def chosen(names):
    return [scenario for scenario in ALL if scenario.name in names]


def domains(config):
    """The names that a configuration serves."""
    return ["bench.test"] if config == "one" else [f"{number:05}.test" for number in range(DOMAINS)]
