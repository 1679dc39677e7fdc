"""The machine: its cores, its programs, and the processes that were started on it."""

import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent
ROOT = TOOLS.parent
TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Trouble(Exception):
    """What keeps a measurement from being made, in words for whoever asked for it."""


def say(text):
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------------------ programs


def need(*programs):
    """Sees to it that these programs are there. Debian's packages have the names of their programs."""
    missing = [program for program in programs if find(program) is None]
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Trouble(f"{', '.join(missing)} missing: run  sudo {' '.join(command)}")
    say(f"installing {', '.join(missing)}")
    # Debian starts a server when it is installed; a policy of "no" (101) keeps it from that.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update"], check=True, **quiet)
        subprocess.run(command, check=True, **quiet)
    except subprocess.CalledProcessError as error:
        raise Trouble(f"{', '.join(missing)} could not be installed: {error}") from error
    finally:
        if ours:
            policy.unlink()


def find(program):
    """The path of a program; servers are often outside the PATH of people."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def build(*, elb=True):
    """Builds ELB and the tools around it. Cargo tells what it does."""
    manifests = ([ROOT / "Cargo.toml"] if elb else []) + [TOOLS / "load" / "Cargo.toml"]
    for manifest in manifests:
        command = ["cargo", "build", "--release", "--locked", "--quiet", "--manifest-path", str(manifest)]
        say(f"building {manifest.relative_to(ROOT)}")
        # From the root, whose .cargo/config.toml belongs to the build.
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise Trouble("it does not build")


def elb_binary():
    return target_folder(ROOT) / "release" / "elb"


def tool(name):
    return target_folder(TOOLS / "load") / "release" / name


def target_folder(package):
    """Where cargo puts what it builds of a package, when it is run from the root."""
    elsewhere = os.environ.get("CARGO_TARGET_DIR")
    return ROOT / elsewhere if elsewhere else package / "target"


# --------------------------------------------------------------------------------------------------------------- cores


def cores():
    return sorted(os.sched_getaffinity(0))


def describe():
    """The machine in one line."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")),
        platform.machine(),
    )
    return f"{model}, {len(cores())} cores, Linux {platform.release().split('-')[0]}"


def raise_open_files():
    """Thousands of connections are as many open files, in processes that inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        wanted = max(hard, 1 << 17)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, OSError):
        # Beyond the hard limit only where that is allowed.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# ----------------------------------------------------------------------------------------------------------- processes


class Processes:
    """Processes that end with the block that started them."""

    def __init__(self):
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running:
            end(process)
        self.running = []

    def start(self, command, on, **options):
        """Starts a command on these cores."""
        command = [str(word) for word in command]
        options.setdefault("stdin", subprocess.DEVNULL)
        try:
            process = subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, on), **options)
        except OSError as error:
            raise Trouble(f"{command[0]} does not start: {error}") from error
        self.running.append(process)
        return process

    def end(self, process):
        end(process)
        self.running.remove(process)


def end(process):
    """Ends a process that was started here, by asking first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port, request, process, name, patience=30):
    """Waits until a request is answered with 200, for so many seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Trouble(f"{name} ended at once, with code {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as client:
                client.sendall(request)
                if b" 200 " in client.recv(4096).split(b"\r\n", 1)[0]:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise Trouble(f"{name} does not answer")


# ------------------------------------------------------------------------------------------------------------- figures


def tree(pid):
    """A process and all that came from it."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += tree(int(child))
    return found


def cpu(pid):
    """(run time, user, system) in seconds of a process tree. The first is counted in nanoseconds, the others in ticks."""
    total = user = system = 0
    for member in tree(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        user += int(fields[11]) * TICK
        system += int(fields[12]) * TICK
    return total, user, system


def cpu_by_thread(pid):
    """Run time in seconds of each thread of a process, by its name."""
    return {
        (task / "comm").read_text().strip(): int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in sorted(Path(f"/proc/{pid}/task").iterdir())
    }


def workers(port):
    """What the workers of an ELB say of themselves; nothing when it is another program, or an ELB that does not say it."""
    request = b"GET /__erulb__/workers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(request)
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return json.loads(body)["workers"] if b" 200 " in head.split(b"\r\n", 1)[0] else []


def memory(pid):
    """Resident bytes of a process tree; what several of them share counts for each."""
    return sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) * PAGE for member in tree(pid))
