"""The program, of which every build has the same bytes.

What differs from machine to machine is taken out where it would come in: paths of folders (they stand in messages of panics and in what
debuggers read), the time, flags of whoever builds, and what one build leaves for the next. The same compilers and the same linker are the
reader's part: `rustc --version`, `cc --version`.
"""

import os
from pathlib import Path

from . import source
from .source import ROOT, Trouble, run, say

# Flags and profiles of whoever builds would be in the program.
FOREIGN = ("CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_", "CFLAGS", "CPPFLAGS",
           "LDFLAGS", "TARGET_C", "HOST_C", "RING_", "CC_")


def renamed(target):
    """Folders of this machine, each with what it is called in the program. Where one is in another, the last of them counts."""
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    sysroot = Path(run("rustc", "--print", "sysroot", text=True).strip())
    about = run("rustc", "--version", "--verbose", text=True)
    commit = next(line.split()[1] for line in about.splitlines() if line.startswith("commit-hash: "))
    folders = [(cargo, "/usr/src/cargo"), (sysroot / "lib/rustlib/src/rust", f"/rustc/{commit}"), (ROOT, "/usr/src/elb"),
               (target, "/usr/src/elb/target")]
    # What a link leads to is what the compilers may see.
    return [(str(place), name) for folder, name in folders for place in dict.fromkeys((folder, folder.resolve()))]


def environment(release, target):
    """Variables of a build that looks at nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    names = renamed(target)
    rust = [f"--remap-path-prefix={folder}={name}" for folder, name in names]
    # The linker makes the name of a build of its bytes; not all compilers ask it to by themselves.
    rust.append("-Clink-arg=-Wl,--build-id=sha1")
    c = " ".join(f"'-ffile-prefix-map={folder}={name}'" for folder, name in names)
    return {**kept, "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(rust), "CFLAGS": c, "CC_SHELL_ESCAPED_FLAGS": "1", "CARGO_INCREMENTAL": "0",
            "CARGO_TARGET_DIR": str(target), "SOURCE_DATE_EPOCH": str(release.epoch), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def build(release, target):
    """Builds into a folder of its own, so that other builds keep what they have."""
    say(f"building in {target}")
    # From the root, whose .cargo/config.toml belongs to the build.
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--bin", "elb"]
    run(*command, cwd=ROOT, env=environment(release, target))
    built = target / "release" / "elb"
    if not built.is_file():
        raise Trouble(f"cargo made no {built}")
    return built


def target_folder():
    return Path(os.environ.get("CARGO_TARGET_DIR") or source.ROOT / "target").resolve()
