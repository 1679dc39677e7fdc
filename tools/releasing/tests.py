"""What is packed, without a build: `python3 -m unittest discover -s tools -p tests.py -t tools`.

What is packed is a small program of the system, and for what elb says of itself stands a program of two lines; `tools/release` is the only
one that builds.
"""

import io
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

from releasing import archive, contents, debian, make, program, sbom, source
from releasing.archive import File

NOW = source.Release("0.1.0~20260102.030405.abcdef", 1767323045)
# It answers as elb does, and the answers are short.
SAYS = """\
#!/bin/sh
[ "$1" = completions ] && echo "complete $2"
[ "$1" = man ] && /bin/mkdir -p "$3" && printf '.TH elb 1\\n.SH NAME\\nelb \\\\- a load balancer\\n' > "$3/elb.1"
exit 0
"""


def program_of(binary):
    """A program of the system in elb's place."""
    with tempfile.TemporaryDirectory() as folder:
        says = Path(folder) / "elb"
        says.write_text(SAYS)
        says.chmod(0o755)
        return program.Program(program.read(Path(binary)), b"symbols", *program.ask(says, Path(folder)))


def members(package):
    """The two tars in a package, read by something else than what wrote them: each file by its path."""
    found, at = {}, 8
    while at < len(package):
        head = package[at:at + 60].decode("ascii")
        name, size = head[:16].strip(), int(head[48:58])
        content = package[at + 60:at + 60 + size]
        at += 60 + size + size % 2
        if name.endswith(".tar.xz"):
            with tarfile.open(fileobj=io.BytesIO(content)) as inner:
                found[name] = {entry.name.removeprefix("./"): (entry, inner.extractfile(entry).read() if entry.isfile() else b"")
                               for entry in inner}
    return found["control.tar.xz"], found["data.tar.xz"]


def release_of(binary="/bin/true"):
    return contents.everything(program_of(binary), NOW)


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.made = release_of()
        except source.Trouble as trouble:
            raise unittest.SkipTest(str(trouble)) from trouble
        cls.name = next(name for name in cls.made if name.startswith("elb_"))
        cls.control, cls.files = members(cls.made[cls.name])

    def written(self, folder):
        path = Path(folder) / self.name
        path.write_bytes(self.made[self.name])
        return path

    def test_the_same_program_is_packed_into_the_same_bytes(self):
        self.assertEqual(release_of(), self.made)

    def test_the_package_has_what_it_must_have(self):
        modes = {path: entry.mode for path, (entry, _) in self.files.items() if entry.isfile()}
        about = "usr/share/doc/elb"
        must = {"usr/bin/elb": 0o755, "etc/default/elb": 0o640, "usr/lib/systemd/system/elb.service": 0o644,
                "usr/share/bash-completion/completions/elb": 0o644, "usr/share/zsh/vendor-completions/_elb": 0o644,
                "usr/share/fish/vendor_completions.d/elb.fish": 0o644, "usr/share/man/man1/elb.1.gz": 0o644,
                f"{about}/copyright": 0o644, f"{about}/changelog.Debian.gz": 0o644, f"{about}/changelog.gz": 0o644,
                f"{about}/manual/runbook.md": 0o644}
        self.assertEqual({path: modes.get(path) for path in must}, must)
        socket = "usr/lib/systemd/system/elb.socket"
        self.assertEqual(socket in modes, (contents.PACKAGING / "elb.socket").is_file())
        for path, (entry, _) in [*self.files.items(), *self.control.items()]:
            self.assertEqual((entry.uid, entry.gid, entry.uname, entry.mtime), (0, 0, "root", NOW.epoch), path)
            self.assertFalse(entry.mode & 0o022, path)

    def test_every_folder_is_there_before_what_is_in_it(self):
        seen = set()
        for path, (entry, _) in self.files.items():
            seen.add(path)
            self.assertIn(path.rpartition("/")[0], seen | {""})
            self.assertEqual(entry.isdir(), entry.mode == 0o755 and not entry.isfile())

    def test_what_dpkg_reads_says_what_there_is(self):
        told = {path: text.decode() for path, (entry, text) in self.control.items() if entry.isfile()}
        self.assertEqual(told["conffiles"], "/etc/default/elb\n")
        fields = dict(line.split(": ", 1) for line in told["control"].splitlines() if ": " in line and line[0] != " ")
        self.assertEqual((fields["Package"], fields["Version"]), ("elb", NOW.debian))
        self.assertRegex(fields["Depends"], r"libc6 \(>= 2\.\d+\)")
        listed = {line.split("  ")[1] for line in told["md5sums"].splitlines()}
        there = {path for path, (entry, _) in self.files.items() if entry.isfile()}
        self.assertEqual(listed, there - {"etc/default/elb"})
        for script in debian.SCRIPTS:
            self.assertEqual(self.control[script][0].mode, 0o755)
            subprocess.run(["sh", "-n"], input=told[script], text=True, check=True)

    def test_what_is_compressed_has_neither_name_nor_time(self):
        packed = [text for path, (_, text) in self.files.items() if path.endswith(".gz")]
        packed.append(next(content for name, content in self.made.items() if name.endswith(".tar.gz")))
        for text in packed:
            # Deflate, no flag for a name, no time, the best that there is.
            self.assertEqual(text[:9], b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02")

    def test_the_tarball_is_in_a_folder_of_its_own(self):
        content = next(content for name, content in self.made.items() if name.endswith(".tar.gz"))
        with tarfile.open(fileobj=io.BytesIO(content)) as inner:
            names = inner.getnames()
        self.assertEqual(names, sorted(names))
        self.assertEqual({name.split("/")[0] for name in names}, {f"elb-{NOW.version}"})
        self.assertLessEqual({f"elb-{NOW.version}/{name}" for name in ("elb", "elb.service", "LICENSE", "man/elb.1")}, set(names))

    def test_dpkg_reads_it(self):
        if shutil.which("dpkg-deb") is None:
            self.skipTest("there is no dpkg-deb")
        with tempfile.TemporaryDirectory() as folder:
            package = self.written(folder)
            told = subprocess.run(["dpkg-deb", "--contents", package], check=True, stdout=subprocess.PIPE, text=True).stdout
            self.assertRegex(told, r"-rw-r----- root/root .* \./etc/default/elb\n")
            subprocess.run(["dpkg-deb", "--extract", package, Path(folder) / "root"], check=True)
            self.assertEqual((Path(folder) / "root/usr/bin/elb").read_bytes(), Path("/bin/true").read_bytes())

    def test_lintian_has_no_complaint(self):
        if shutil.which("lintian") is None:
            self.skipTest("there is no lintian")
        with tempfile.TemporaryDirectory() as folder:
            told = subprocess.run(["lintian", "--no-cfg", "--allow-root", "--fail-on=error,warning", self.written(folder)], check=False,
                                  stdout=subprocess.PIPE, text=True)
        self.assertEqual((told.returncode, told.stdout), (0, ""))


class Scripts(unittest.TestCase):
    """What dpkg runs, between programs that note what they are asked, and a folder of systemd's that is there or not."""

    def asked(self, script, *words, systemd=True, active=True, socket=False):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            said = folder / "said"
            for name, ends in (("systemctl", 0 if active else 3), ("deb-systemd-helper", 0), ("deb-systemd-invoke", 0), ("rm", 0)):
                program_there = folder / name
                program_there.write_text(f'#!/bin/sh\necho "{name} $*" >> "{said}"\nexit {ends}\n')
                program_there.chmod(0o755)
            text = (contents.PACKAGING / script).read_text()
            for place, there in (("/run/systemd/system", systemd), ("${DPKG_ROOT:-}/usr/lib/systemd/system/elb.socket", socket),
                                 ("/usr/lib/systemd/system/elb.socket", socket), ("${DPKG_ROOT:-}/usr/bin/deb-systemd-helper", True)):
                text = text.replace(f" {place} ", " / " if there else " /nowhere ").replace(f'"{place}"', '"/bin/sh"' if there else "/nowhere")
            subprocess.run(["sh", "-s", *words], input=text, text=True, check=True, env={"PATH": f"{folder}:/bin:/usr/bin"})
            return said.read_text().splitlines() if said.exists() else []

    def test_they_ask_systemd_for_what_is_due(self):
        invoked = {
            ("postinst", "configure", ""): ["start elb.service"],
            ("postinst", "configure", "0.0.9-1"): ["reload elb.service"],
            ("postinst", "triggered", "x"): [],
            ("prerm", "remove"): ["stop elb.service"],
            ("prerm", "upgrade", "0.2-1"): [],
            ("postrm", "remove"): [],
            ("postrm", "purge"): [],
        }
        for words, due in invoked.items():
            told = [line.removeprefix("deb-systemd-invoke ") for line in self.asked(*words) if line.startswith("deb-systemd-invoke")]
            self.assertEqual(told, due, words)
            told = self.asked(*words, systemd=False)
            self.assertEqual([line for line in told if line.startswith(("deb-systemd-invoke", "systemctl"))], [], words)
        stopped = self.asked("postinst", "configure", "0.0.9-1", active=False)
        self.assertFalse([line for line in stopped if line.startswith("deb-systemd-invoke")], "one that was stopped stays so")
        self.assertEqual(self.asked("prerm", "remove", socket=True)[:2],
                         ["deb-systemd-invoke stop elb.socket", "deb-systemd-invoke stop elb.service"])

    def test_only_a_purge_takes_what_was_written(self):
        self.assertEqual([line for line in self.asked("postrm", "remove") if line.startswith("rm ")], [])
        self.assertIn("rm -rf /var/lib/elb /var/lib/private/elb", self.asked("postrm", "purge"))


class Units(unittest.TestCase):
    def setUp(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("there is no systemd-analyze")

    def analyze(self, *words, kind=""):
        """What it says of the units of a kind where they are, with a program that is there in the place of elb."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in contents.units().items():
                (Path(folder) / name).write_bytes(re.sub(rb"(?<==)/usr/bin/elb\b", b"/bin/true", text))
            paths = [Path(folder) / name for name in contents.units() if name.endswith(kind)]
            return subprocess.run(["systemd-analyze", *words, *paths], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)

    def test_systemd_understands_every_line(self):
        told = self.analyze("verify", "--man=no")
        ours = [line for line in told.stdout.splitlines() if "elb" in line]
        self.assertEqual((told.returncode, ours), (0, []))

    def test_its_filter_lets_through_what_elb_calls(self):
        sets = {}
        told = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True).stdout
        for line in told.splitlines():
            if line.startswith("@"):
                sets[line] = inside = []
            elif line.startswith("    ") and not line.strip().startswith("#"):
                inside.append(line.strip())

        def calls(*names):
            return {call for name in names for call in (calls(*sets[name]) if name.startswith("@") else (name,))}

        allowed = set()
        for is_taken_away, names in re.findall(r"^SystemCallFilter=(~?)(.*)$", (contents.PACKAGING / "elb.service").read_text(), re.MULTILINE):
            allowed = allowed - calls(*names.split()) if is_taken_away else allowed | calls(*names.split())
        # Pinned workers, open files, threads that step back, the next process and its sockets, memory that is given back, the rest of a server.
        needed = {"sched_setaffinity", "prlimit64", "setpriority", "getpriority", "execve", "clone3", "sendmsg", "recvmsg", "socketpair",
                  "madvise", "epoll_wait", "accept4", "connect", "bind", "listen", "rename", "fsync", "unlink", "wait4", "kill"}
        self.assertEqual(needed - allowed, set())

    def test_what_it_may_do_stays_little(self):
        # 0 is nothing at all, 10 everything; the threshold is in tenths. Sockets have nothing to be judged by.
        told = self.analyze("security", "--offline=true", "--no-pager", "--threshold=20", kind=".service")
        self.assertEqual(told.returncode, 0, told.stdout)


class Programs(unittest.TestCase):
    TOLD = """\
  Machine:                           Advanced Micro Devices X86-64
 0x0000000000000001 (NEEDED)             Shared library: [libgcc_s.so.1]
 0x0000000000000001 (NEEDED)             Shared library: [libm.so.6]
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x0000000000000001 (NEEDED)             Shared library: [ld-linux-x86-64.so.2]
  0x0020:   Name: GLIBC_2.9  Flags: none  Version: 9
  0x0030:   Name: GLIBC_2.34  Flags: none  Version: 8
  0x0040:   Name: GLIBC_2.2.5  Flags: none  Version: 7
"""

    def test_what_it_needs_is_what_its_symbols_say(self):
        self.assertEqual(program.depends(self.TOLD), ("libc6 (>= 2.34)", "libgcc-s1 (>= 4.2)"))
        self.assertEqual(program.depends(""), (), "a program that needs nothing")
        with self.assertRaises(source.Trouble):
            program.depends(" 0x1 (NEEDED)  Shared library: [libssl.so.3]\n")

    def test_versions_are_those_that_debian_and_files_may_have(self):
        self.assertEqual(source.check_version("0.1.0~20260102.030405.abc.changed"), "0.1.0~20260102.030405.abc.changed")
        for bad in ("", "v1", "1-2", "1/2", "1 2", "1\n"):
            with self.assertRaises(source.Trouble):
                source.check_version(bad)


class Archives(unittest.TestCase):
    def test_the_order_in_which_files_are_named_is_no_part_of_it(self):
        files = [File("b/c", b"1"), File("a", b"2", 0o755), File("b/d", link="c"), File("b-", b"3")]
        self.assertEqual(archive.tar(files, 7), archive.tar(files[::-1], 7))
        with self.assertRaises(ValueError):
            archive.tar([File("a"), File("a")], 7)

    def test_sums_stand_beside_the_files(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "elb").write_text(SAYS)
            lines = make.write(Path(folder), {"b": b"1", "a": b"2"})
            self.assertEqual([line.split("  ")[1] for line in lines], ["a", "b"])
            subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=folder, check=True)


class Parts(unittest.TestCase):
    def test_each_package_of_the_lock_is_listed_once_and_has_its_sum(self):
        told = json.loads(sbom.text(NOW, "x86_64"))
        locked = sbom.locked()
        ours = {(one["name"], one["version"]) for one in told["components"]} | {("elb", source.manifest()["version"])}
        self.assertEqual(ours, set(locked))
        self.assertEqual(len(told["components"]) + 1, len(locked))
        for one in told["components"]:
            (digest,) = one["hashes"]
            self.assertEqual(digest["content"], locked[one["name"], one["version"]]["checksum"])
            self.assertTrue(one["scope"] == "excluded" or one["licenses"][0]["expression"], one["name"])
        references = {one["bom-ref"] for one in told["components"]} | {told["metadata"]["component"]["bom-ref"]}
        for one in told["dependencies"]:
            self.assertLessEqual({one["ref"], *one["dependsOn"]}, references)

    def test_what_only_tests_or_builds_use_is_told_apart(self):
        scopes = {one["name"]: one["scope"] for one in json.loads(sbom.text(NOW, "x86_64"))["components"]}
        self.assertEqual([scopes[name] for name in ("mio", "rustls", "mimalloc")], ["required"] * 3)
        self.assertEqual([scopes[name] for name in ("proptest", "criterion", "cc")], ["excluded"] * 3)


if __name__ == "__main__":
    unittest.main()
