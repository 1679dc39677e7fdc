"""What `tools/bench`, `tools/syscalls` and `tools/callgrind` share: starting the ends of a measurement, and reading it.

`machine` knows the machine and its processes, `scenarios` what is asked, `targets` who answers, `rounds` how one figure
is taken, `table` how all of them are shown.
"""
