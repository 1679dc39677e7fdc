"""The source: where it is, which version it has, and the time that everything made of it bears."""

import os
import re
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# What is packed and is no source: the unit, its settings, what dpkg runs.
PACKAGING = ROOT / "tools/packaging"


class Trouble(Exception):
    """What keeps a release from being made, in words for whoever asked for it."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*command, **more):
    """What a program printed. Its complaints go where ours go."""
    try:
        done = subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, **more)
    except FileNotFoundError as error:
        raise Trouble(f"{command[0]} is missing") from error
    except subprocess.CalledProcessError as error:
        raise Trouble(f"{command[0]} ended with {error.returncode}") from error
    return done.stdout


def manifest():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]


@dataclass(frozen=True)
class Release:
    """Which version it is, and when its source was last changed, in seconds since 1970."""

    version: str
    epoch: int

    @property
    def date(self):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.epoch))

    @property
    def debian_date(self):
        # Without the names of the C locale that strftime would take from a locale.
        now = time.gmtime(self.epoch)
        day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[now.tm_wday]
        month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[now.tm_mon - 1]
        return f"{day}, {now.tm_mday:02} {month} {now.tm_year} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} +0000"

    @property
    def debian(self):
        """The version among Debian's, where a last part says which packing of the same source it is."""
        return f"{self.version}-1"


def release(version=None):
    """That of the working tree: by its last commit, unless SOURCE_DATE_EPOCH and `version` say otherwise."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    epoch = int(said) if said else int(git("log", "-1", "--format=%ct", why="SOURCE_DATE_EPOCH"))
    return Release(version or version_of_tree(), epoch)


def version_of_tree():
    """The manifest's where the commit has its tag. Any other commit comes before that version, in the order of commits, and says which
    one it is and whether more was changed than it says."""
    version = manifest()["version"]
    tags = git("tag", "--points-at", "HEAD", why="--version").split()
    changed = bool(git("status", "--porcelain", why="--version"))
    if f"v{version}" in tags and not changed:
        return version
    when, commit = git("log", "-1", "--abbrev=10", "--format=%ct %h", why="--version").split()
    when = time.strftime("%Y%m%d.%H%M%S", time.gmtime(int(when)))
    return f"{version}~{when}.{commit}{'.changed' if changed else ''}"


def git(*words, why):
    done = subprocess.run(["git", "-C", str(ROOT), *words], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Trouble(f"the source is no git repository ({done.stderr.strip()}): say {why} yourself")
    return done.stdout.strip()


def check_version(text):
    """What Debian and file names may have as a version."""
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+~]*", text):
        raise Trouble(f"{text!r} is no version: a digit first, then letters, digits, and . + ~")
    return text
