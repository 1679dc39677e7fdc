"""What a package of Debian has besides files: who it is, what it needs, what it does when it comes and goes."""

import hashlib
import re
import textwrap

from .archive import File
from .source import PACKAGING, ROOT, manifest

SCRIPTS = ("postinst", "prerm", "postrm")
HOMEPAGE = manifest()["repository"]
# There is no list of addresses; reports go where the repository says.
MAINTAINER = "The maintainers of ELB <elb@projecteru2.invalid>"

ABOUT = """\
 A request finds its server by the rules of its domain: by path, user agent,
 headers, cookies, weights and more, in any combination. Rules and upstreams
 change while traffic flows, through an HTTP API or etcd, without a reload and
 without a dropped connection.
 .
 ELB is one program with one event loop for each core. It checks servers, puts
 those aside that fail, tries again within a budget, and tells of all that in
 numbers, lines of a log and answers of its API.
"""


def control(program, release, files):
    """The files that dpkg reads of the package: fields, sums, the file that the administrator may change, scripts."""
    fields = f"""\
Package: elb
Version: {release.debian}
Architecture: {program.elf.debian}
Maintainer: {MAINTAINER}
Installed-Size: {size(files)}
Depends: {', '.join((*program.elf.depends, 'init-system-helpers (>= 1.54)'))}
Recommends: ca-certificates
Suggests: etcd-server
Section: httpd
Priority: optional
Homepage: {HOMEPAGE}
Description: dynamic HTTP/1.1 load balancer
{ABOUT}"""
    conffiles = "".join(f"/{file.path}\n" for file in files if file.path.startswith("etc/"))
    scripts = [File(name, (PACKAGING / name).read_bytes(), 0o755) for name in SCRIPTS]
    return [File("control", fields.encode()), File("conffiles", conffiles.encode()), File("md5sums", sums(files)), *scripts]


def symbols(program, release, files):
    """The same of the package for debuggers, which goes with one build alone."""
    fields = f"""\
Package: elb-dbgsym
Source: elb
Version: {release.debian}
Auto-Built-Package: debug-symbols
Architecture: {program.elf.debian}
Maintainer: {MAINTAINER}
Installed-Size: {size(files)}
Depends: elb (= {release.debian})
Section: debug
Priority: optional
Homepage: {HOMEPAGE}
Description: debug symbols for elb
Build-Ids: {program.elf.build_id}
"""
    return [File("control", fields.encode()), File("md5sums", sums(files))]


def size(files):
    """KiB as dpkg counts them: each file by whole ones, and one for each folder or link."""
    folders = {file.path[:at.start()] for file in files for at in re.finditer("/", file.path)}
    return len(folders) + 1 + sum(1 if file.link else -(-len(file.content) // 1024) for file in files)


def sums(files):
    """Of the files that the administrator does not change."""
    kept = sorted((file for file in files if not file.link and not file.path.startswith("etc/")), key=lambda file: file.path)
    lines = (f"{hashlib.md5(file.content, usedforsecurity=False).hexdigest()}  {file.path}\n" for file in kept)
    return "".join(lines).encode()


def changelog(release):
    """One entry: what changed stands in the changelog of the source, which is beside it."""
    return f"""\
elb ({release.debian}) unstable; urgency=medium

  * Packed from the source of this version. What changed in it stands in
    changelog.gz.

 -- {MAINTAINER}  {release.debian_date}
""".encode()


def copyright():
    """The licence in the form that Debian reads."""
    holder, *text = (ROOT / "LICENSE").read_text().split("\n\n", 1)[1].split("\n\n", 1)
    lines = "\n".join(text).strip().replace("\n\n", "\n.\n")
    return f"""\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ELB
Source: {HOMEPAGE}

Files: *
Copyright: {holder.removeprefix('Copyright (c) ').strip()}
License: Expat

License: Expat
{textwrap.indent(lines, ' ')}
""".encode()
