"""The reading and the arithmetic, without a measurement: `python3 -m unittest discover -s tools -p tests.py -t tools`."""

import unittest

from measure import profile, table
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


if __name__ == "__main__":
    unittest.main()
