"""Which file goes where, in a package and in the tarball, and what makes one unlike another."""

from . import archive, debian, sbom
from .archive import File, gz
from .source import PACKAGING, ROOT

# What stands beside the program, as it is; what is not there yet is left out.
UNITS = ("elb.service", "elb.socket")


def units():
    return {name: (PACKAGING / name).read_bytes() for name in UNITS if (PACKAGING / name).is_file()}


def pages():
    """The manual, which reads as well without the source."""
    return {page.name: page.read_bytes() for page in sorted((ROOT / "src/manual").glob("*.md"))}


def package(program, release):
    """The files of Debian's package."""
    about = "usr/share/doc/elb"
    files = [
        File("usr/bin/elb", program.elf.content, 0o755),
        # It may come to hold a token.
        File("etc/default/elb", (PACKAGING / "elb.default").read_bytes(), 0o640),
        File("usr/share/bash-completion/completions/elb", program.completions["bash"]),
        File("usr/share/zsh/vendor-completions/_elb", program.completions["zsh"]),
        File("usr/share/fish/vendor_completions.d/elb.fish", program.completions["fish"]),
        File("usr/share/lintian/overrides/elb", (PACKAGING / "lintian-overrides").read_bytes()),
        File(f"{about}/copyright", debian.copyright()),
        File(f"{about}/changelog.Debian.gz", gz(debian.changelog(release))),
        File(f"{about}/changelog.gz", gz((ROOT / "src/manual/changes.md").read_bytes())),
    ]
    files += [File(f"usr/lib/systemd/system/{name}", text) for name, text in units().items()]
    files += [File(f"usr/share/man/man1/{name}.gz", gz(page)) for name, page in program.manuals.items()]
    files += [File(f"{about}/manual/{name}", page) for name, page in pages().items() if name != "changes.md"]
    return files


def symbols(program):
    """The files of the package for debuggers, and for the way to a panic, which the program looks up there itself."""
    build = program.elf.build_id
    return [File(f"usr/lib/debug/.build-id/{build[:2]}/{build[2:]}.debug", program.symbols),
            File("usr/share/doc/elb-dbgsym", link="elb")]


def tarball(program):
    """The files of the tarball, for systems that have another package manager or none."""
    files = [
        File("elb", program.elf.content, 0o755),
        File("elb.default", (PACKAGING / "elb.default").read_bytes()),
        File("LICENSE", (ROOT / "LICENSE").read_bytes()),
    ]
    files += [File(name, text) for name, text in units().items()]
    files += [File(f"completions/{name}", program.completions[shell])
              for shell, name in (("bash", "elb"), ("zsh", "_elb"), ("fish", "elb.fish"))]
    files += [File(f"man/{name}", page) for name, page in program.manuals.items()]
    return files + [File(f"manual/{name}", page) for name, page in pages().items()]


def everything(program, release):
    """All that is released: by name, what is in it."""
    elf, version = program.elf, release.version
    files = package(program, release)
    made = {
        f"elb_{release.debian}_{elf.debian}.deb":
            archive.deb(debian.control(program, release, files), files, release.epoch),
        f"elb-{version}-{elf.machine}-linux.tar.gz":
            gz(archive.tar(tarball(program), release.epoch, top=f"elb-{version}")),
        f"elb-{version}-{elf.machine}-linux.cdx.json": sbom.text(release, elf.machine),
    }
    # A program without a name as a build, or from which all was taken before, has nothing that a debugger could find.
    if elf.build_id:
        files = symbols(program)
        made[f"elb-dbgsym_{release.debian}_{elf.debian}.deb"] = archive.deb(debian.symbols(program, release, files), files, release.epoch)
    return made
