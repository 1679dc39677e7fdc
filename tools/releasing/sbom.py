"""What the program is made of, as CycloneDX has it.

It is made here, of Cargo.lock and of what cargo says, and not by one of the tools that there are: those are one more thing to install,
and put the time and a number by chance into each document.
"""

import json
import re
import subprocess
import tomllib
import uuid

from .source import ROOT, Trouble, manifest


def locked():
    """All packages of Cargo.lock, by name and version."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(package["name"], package["version"]): package for package in packages}


def metadata(machine):
    """What cargo knows of them: of the ones that a build for such a machine asks for, which are those that are there after one."""
    command = ["cargo", "metadata", "--locked", "--format-version=1", f"--filter-platform={machine}-unknown-linux-gnu"]
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Trouble(f"cargo does not say what there is: {done.stderr.strip()}")
    return json.loads(done.stdout)


def shipped(told):
    """The packages whose code is in the program: what it uses, and what that uses; not what only tests or build scripts do."""
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    found, open_ = set(), [told["resolve"]["root"]]
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            open_ += [dep["pkg"] for dep in nodes[one]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    return found


def reference(name, version):
    return f"pkg:cargo/{name}@{version}"


def component(name, version, package, known, is_shipped):
    """One package. `excluded` is the word for what takes part in tests, builds or other systems alone."""
    one = {"type": "library", "bom-ref": reference(name, version), "name": name, "version": version,
           "scope": "required" if is_shipped else "excluded", "purl": reference(name, version)}
    if known and known.get("license"):
        one["licenses"] = [{"expression": re.sub(r" */ *", " OR ", known["license"])}]
    if known and known.get("repository"):
        one["externalReferences"] = [{"type": "vcs", "url": known["repository"]}]
    if package.get("checksum"):
        one["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
    return one


def needs(package, packages):
    """What a package of Cargo.lock names: a name alone where there is one version of it, else with its version."""
    for need in package.get("dependencies", []):
        name, _, version = need.partition(" ")
        yield reference(name, version.split(" ")[0] or next(v for n, v in packages if n == name))


def document(release, machine):
    """The whole. Its number is made of what is in it."""
    packages, told = locked(), metadata(machine)
    known = {(package["name"], package["version"]): package for package in told["packages"]}
    ids = {package["id"]: (package["name"], package["version"]) for package in told["packages"]}
    in_program = {ids[one] for one in shipped(told)}
    ours = (manifest()["name"], manifest()["version"])
    whole = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": release.date,
            "component": {"type": "application", "bom-ref": reference(*ours), "name": "elb", "version": release.version,
                          "licenses": [{"license": {"id": manifest()["license"]}}], "purl": reference(*ours)},
        },
        "components": [component(*one, packages[one], known.get(one), one in in_program) for one in sorted(packages) if one != ours],
        "dependencies": [{"ref": reference(*one), "dependsOn": sorted(needs(packages[one], packages))} for one in sorted(packages)],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(whole, sort_keys=True))
    return {"$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json", "serialNumber": f"urn:uuid:{number}", **whole}


def text(release, machine):
    return (json.dumps(document(release, machine), indent=2, ensure_ascii=False) + "\n").encode()
