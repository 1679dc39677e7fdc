"""A release is made, once, or twice to see that it comes out the same."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import contents, program, source
from .build import build, target_folder
from .source import ROOT, Trouble, run, say

SUMS = "SHA256SUMS"


def make(release, folder, binary=None):
    """Writes all files into a folder. Returns the lines of their sums."""
    binary = binary or build(release, target_folder() / "release-build")
    lines = write(folder, contents.everything(program.take(binary), release))
    say(f"{release.version} is in {folder}")
    return lines


def write(folder, made):
    """Writes files and their sums. Returns the lines of the sums."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(made.items())]
    made[SUMS] = "".join(f"{line}\n" for line in lines).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        # Whole or not at all, so that a release that was broken off is none.
        half = folder / f".{name}.part"
        half.write_bytes(content)
        half.replace(folder / name)
    return lines


def verify(version):
    """Makes the last commit twice: in folders with names of other lengths, and one below another."""
    release = source.release(version)
    if source.git("status", "--porcelain", why="--version"):
        say("what is not committed takes no part")
        release = source.Release(release.version.removesuffix(".changed"), release.epoch)
    with tempfile.TemporaryDirectory(prefix="elb-release-") as folder:
        sums = [once(release, Path(folder) / name) for name in ("one", "another/with-a-longer-name")]
    if sums[0] != sums[1]:
        raise Trouble(f"the second was another than the first:\n{sums[0]}\n{sums[1]}")
    say("both are the same:")
    print(sums[0], end="")


def once(release, place):
    """The sums of the last commit, made in a place that has nothing yet, and has nothing again afterwards."""
    tree = place / "tree"
    tree.mkdir(parents=True)
    archive = subprocess.Popen(["git", "-C", str(ROOT), "archive", "HEAD"], stdout=subprocess.PIPE)
    run("tar", "-x", "-C", tree, stdin=archive.stdout)
    if archive.wait() != 0:
        raise Trouble("git did not hand out the last commit")
    given = {**os.environ, "SOURCE_DATE_EPOCH": str(release.epoch), "CARGO_TARGET_DIR": str(place / "target")}
    run(tree / "tools/release", "--version", release.version, "--to", place / "dist", env=given)
    sums = (place / "dist" / SUMS).read_text()
    shutil.rmtree(place)
    return sums
