"""The program as it is packed: without what debuggers read, which is a file of its own, and what is known of it.

It is asked for its manual pages and completions, and `readelf` for what it needs of the system that it runs on.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .source import Trouble, run

# What Debian calls the machines of ELF files, and what compilers do.
MACHINES = {"Advanced Micro Devices X86-64": ("amd64", "x86_64"), "AArch64": ("arm64", "aarch64")}
SHELLS = ("bash", "zsh", "fish")
# The packages that have these libraries, in every Debian since the one that elb can first run on.
LIBRARIES = {"libc.so.6": "libc6", "libm.so.6": "libc6", "libdl.so.2": "libc6", "libpthread.so.0": "libc6", "librt.so.1": "libc6",
             "libgcc_s.so.1": "libgcc-s1"}


@dataclass(frozen=True)
class Elf:
    """One file, and what its head says: its machine, its name as a build, and what it needs."""

    content: bytes
    debian: str
    machine: str
    build_id: str
    depends: tuple


@dataclass(frozen=True)
class Program:
    """What goes into packages of the program: itself, what debuggers read, and what it says of itself."""

    elf: Elf
    symbols: bytes
    completions: dict
    manuals: dict


def take(binary):
    """The program that is at `binary`, which is left as it is."""
    binary = binary.resolve()
    if not binary.is_file():
        raise Trouble(f"there is no {binary}")
    with tempfile.TemporaryDirectory(prefix="elb-release-") as folder:
        stripped, symbols = Path(folder) / "elb", Path(folder) / "elb.debug"
        run("objcopy", "--only-keep-debug", binary, symbols)
        run("objcopy", "--strip-all", "--remove-section=.comment", binary, stripped)
        elf = read(stripped)
        return Program(elf, symbols.read_bytes(), *ask(binary, Path(folder)))


def ask(binary, folder):
    """The completions by shell and the manual pages by name. An answer may hang on no variable of whoever asks."""
    completions = {shell: run(binary, "completions", shell, env={}) for shell in SHELLS}
    pages = folder / "man"
    run(binary, "man", "--to", pages, env={})
    manuals = {page.name: page.read_bytes() for page in sorted(pages.iterdir())}
    if "elb.1" not in manuals or not all(completions.values()):
        raise Trouble(f"{binary} has no manual page or no completions of itself")
    return completions, manuals


def read(path):
    """What `readelf` tells of a file, which may be of any machine."""
    told = run("readelf", "--wide", "--file-header", "--dynamic", "--version-info", "--notes", path, text=True, stderr=subprocess.DEVNULL,
               env={"LC_ALL": "C", "PATH": path_of("readelf")})
    machine = re.search(r"^  Machine: +(.+)$", told, re.MULTILINE)
    if not machine or machine[1] not in MACHINES:
        raise Trouble(f"{path} is for {machine[1] if machine else 'no machine'}, and of packages for that nothing is known")
    build_id = re.search(r"Build ID: ([0-9a-f]+)", told)
    return Elf(path.read_bytes(), *MACHINES[machine[1]], build_id[1] if build_id else "", depends(told))


def path_of(program):
    found = shutil.which(program)
    if not found:
        raise Trouble(f"{program} is missing; Debian's package binutils has it")
    return str(Path(found).parent)


def depends(told):
    """The packages that have what the program needs, each with its least version. The versions of libc's symbols are those of libc
    in which they came."""
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", told)
    loaders = ("ld-linux",)
    unknown = [library for library in needed if library not in LIBRARIES and not library.startswith(loaders)]
    if unknown:
        raise Trouble(f"no package is known that has {', '.join(unknown)}")
    packages = {LIBRARIES[library]: "" for library in needed if library in LIBRARIES}
    versions = [tuple(map(int, found.split("."))) for found in re.findall(r"Name: GLIBC_([0-9.]+) ", told)]
    if "libc6" in packages and versions:
        packages["libc6"] = f" (>= {'.'.join(map(str, max(versions)))})"
    if "libgcc-s1" in packages:
        # The first that had this name; all symbols for unwinding are older.
        packages["libgcc-s1"] = " (>= 4.2)"
    return tuple(name + version for name, version in sorted(packages.items()))
