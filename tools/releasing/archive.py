"""How files are written down: names in order, one time for all, owned by root, and nothing of the machine that writes.

A package of Debian is an `ar` of two tars (deb(5)); all three are written here, so that the bytes do not hang on which dpkg or tar is
there.
"""

import gzip
import io
import lzma
import tarfile
from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """A file: where it goes, what is in it, whether it is run; or where a link leads."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    link: str = ""


def tar(files, epoch, top="."):
    """All of them with the folders above them, below `top`."""
    folders = {top}
    for file in files:
        parts = file.path.split("/")[:-1]
        folders.update("/".join([top, *parts[:depth]]) for depth in range(1, len(parts) + 1))
    paths = [file.path for file in files]
    if len(set(paths)) != len(paths):
        raise ValueError("two files have one name")
    # dpkg wants folders before what is in them, which the order of names has by itself.
    entries = [(folder + "/", None) for folder in folders] + [(f"{top}/{file.path}", file) for file in files]
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, file in sorted(entries, key=lambda entry: entry[0]):
            entry = tarfile.TarInfo(name)
            entry.mtime = epoch
            entry.uname = entry.gname = "root"
            if file is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            elif file.link:
                entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, file.link
            else:
                entry.mode, entry.size = file.mode, len(file.content)
            archive.addfile(entry, io.BytesIO(file.content) if file else None)
    return written.getvalue()


def gz(content):
    """As `gzip -9 -n`: with neither a name nor a time."""
    return gzip.compress(content, 9, mtime=0)


def xz(content):
    return lzma.compress(content, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC64, preset=6)


def ar(members, epoch):
    written = [b"!<arch>\n"]
    for name, content in members:
        head = f"{name:<16}{epoch:<12}{0:<6}{0:<6}{0o100644:<8o}{len(content):<10}`\n"
        written += [head.encode("ascii"), content, b"\n" * (len(content) % 2)]
    return b"".join(written)


def deb(control, files, epoch):
    """A package: what dpkg reads of it, and its files."""
    return ar([("debian-binary", b"2.0\n"), ("control.tar.xz", xz(tar(control, epoch))), ("data.tar.xz", xz(tar(files, epoch)))], epoch)
