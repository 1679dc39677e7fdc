"""The reading and the arithmetic, without a measurement: `python3 -m unittest discover -s tools -p tests.py -t tools`."""

import tempfile
import unittest
from pathlib import Path

from measure import profile, scenarios, table, targets
from measure.rounds import Sample


def sample(target, number, cpu, **more):
    given = {"scenario": "s1", "workers": 1, "requests": 100, "seconds": 2, "user": 1, "system": 1, "p50": 1, "p99": 2,
             "p999": 3, "errors": 0, "memory": 1_000_000, **more}
    return Sample(target=target, round=number, cpu=cpu, **given)


class Tables(unittest.TestCase):
    def test_ratios_are_taken_within_a_round(self):
        # The machine was twice as slow in the second round, which no ratio may show.
        samples = [sample("elb", 1, 12), sample("relay", 1, 10), sample("elb", 2, 24), sample("relay", 2, 20)]
        elb, relay = table.summary(samples)
        self.assertEqual((elb["floor"], relay["floor"], elb["nginx"]), (1.2, 1, None))
        self.assertEqual((elb["cpu"], elb["rate"]), (18, 50))

    def test_errors_add_up_and_idle_memory_is_the_highest(self):
        samples = [sample("elb", 1, 1, errors=2, idle_memory=512.0), sample("elb", 2, 1, errors=1, idle_memory=0.0)]
        (row,) = table.summary(samples)
        self.assertEqual((row["errors"], row["idle_memory"]), (3, 512))
        self.assertIn("elb 0.50 KB", table.text(samples))

    def test_shares_of_workers_are_shown_when_there_are_several(self):
        threads = {"elb-worker-0": 3.0, "elb-worker-1": 1.0, "elb-control": 9.0}
        spread = [{"accepted": 60.2, "requests": 74.6}, {"accepted": 39.8, "requests": 25.4}]
        shown = table.text([sample("elb", 1, 1, workers=2, threads=threads, shares=spread)])
        self.assertIn("CPU time 75%, 25%; connections 60%, 40%; requests 75%, 25%", shown)
        self.assertNotIn("connections", table.text([sample("elb", 1, 1, workers=2, threads=threads)]))


class Profiles(unittest.TestCase):
    TEXT = """\
fl=(1) a.rs
fn=(1) one
10 5
+2 7
fi=(2) b.rs
3 11
cfn=(2) two
calls=4 20
* 1000
fe=(1)
* 1
fn=(2)
-1 2
"""

    def test_what_belongs_to_a_place_is_told_apart_from_what_it_calls(self):
        read = profile.Profile()
        profile.read_one(self.TEXT.splitlines(), read)
        self.assertEqual(read.costs, {
            ("one", "a.rs", 10): 5, ("one", "a.rs", 12): 7, ("one", "b.rs", 3): 11, ("one", "a.rs", 3): 1,
            ("two", "a.rs", 2): 2})
        self.assertEqual(read.calls, {"two": 4})
        self.assertEqual(read.sum(lambda place: place.function), {"one": 24, "two": 2})

    def test_a_difference_is_what_one_request_adds(self):
        few, many = profile.Profile(), profile.Profile()
        few.costs.update({"start": 9, "request": 20})
        many.costs.update({"start": 9, "request": 120})
        self.assertEqual(many.less(few, 10).costs, {"request": 10})


class Balancing(unittest.TestCase):
    TAIL = scenarios.chosen(["t1"])[0]

    def test_each_has_the_methods_that_it_knows(self):
        known = {"elb": 3, "before": 3, "nginx": 2, "haproxy": 2, "relay": 0}
        for name, count in known.items():
            self.assertEqual(targets.methods(name, self.TAIL), ["round_robin", "least_conn", "ewma"][:count])
        (plain,) = scenarios.chosen(["s1"])
        self.assertEqual([targets.methods(name, plain) for name in ("elb", "haproxy", "relay")], [["round_robin"]] * 3)

    def test_all_are_told_of_the_same_servers_and_of_the_method(self):
        self.assertEqual(targets.store_of("one", [1, 2], "ewma")["upstreams"], {
            "up": {"127.0.0.1:1": "", "127.0.0.1:2": "", "@options": "method=ewma"}})
        self.assertEqual(targets.store_of("one", [1], "round_robin")["upstreams"], {"up": {"127.0.0.1:1": ""}})
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            targets.nginx("one", [1, 2], "least_conn", 80, folder, 1)
            self.assertRegex((folder / "nginx.conf").read_text(),
                             r"least_conn;\s+server 127.0.0.1:1;\s+server 127.0.0.1:2;\s+keepalive ")
            targets.haproxy("one", [1, 2], "least_conn", 80, folder, 1)
            self.assertIn("balance leastconn\n    server s0 127.0.0.1:1\n    server s1 127.0.0.1:2\n",
                          (folder / "haproxy.cfg").read_text())

    def test_a_load_that_repeats_itself_is_measured_whole(self):
        self.assertEqual([self.TAIL.seconds(asked) for asked in (0, 4, 10, 10.5, 20)], [10, 10, 10, 20, 20])
        self.assertEqual(scenarios.chosen(["s1"])[0].seconds(4), 4)

    def test_what_depends_on_a_clock_is_not_counted_by_instructions(self):
        counted = {one.name for one in scenarios.ALL if one.is_counted}
        self.assertEqual(set(scenarios.NAMES) - counted, {"s9", "s10", "t1"})


if __name__ == "__main__":
    unittest.main()
