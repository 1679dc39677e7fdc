"""An ELB that is asked through its admin API, and a real etcd for it."""

import http.client
import json
import shutil
import time
import urllib.request
from pathlib import Path

from . import machine
from .machine import Trouble


class Elb:
    """A process, and what it answers. `flags` are words of the command line beside its listener and its state file."""

    def __init__(self, processes, binary, folder, *flags, workers=1, on=None, etcd=None, patience=60):
        self.port = machine.free_port()
        self.began = time.monotonic()
        command = [binary, "--listen", f"127.0.0.1:{self.port}", "--workers", workers, "--state-file", folder / "state.json",
                   *flags]
        if etcd:
            command += ["--etcd", f"127.0.0.1:{etcd}"]
        self.process = processes.start(command, on or set(machine.cores()), stderr=(folder / "elb.log").open("w"))
        deadline = self.began + patience
        while True:
            if self.process.poll() is not None:
                raise Trouble(f"elb ended: {(folder / 'elb.log').read_text()}")
            try:
                if self.ask("GET", "/__erulb__/ready")[0] == 200:
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise Trouble("elb is not ready")
            time.sleep(0.02)
        self.ready_after = time.monotonic() - self.began

    def ask(self, method, path, body=None, host="localhost"):
        """The status and the body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body, {"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(error) from error
        finally:
            connection.close()

    def told(self, method, path, body=None):
        """What an answer says, which must be 200."""
        text = json.dumps(body) if isinstance(body, (dict, list)) else body
        status, answer = self.ask(method, f"/__erulb__/{path}", text)
        if status != 200:
            raise Trouble(f"{method} {path}: {status} {answer[:300]}")
        return json.loads(answer)

    def timed(self, method, path, body=None):
        """Seconds that a request took, which must be answered with 200."""
        text = json.dumps(body) if isinstance(body, (dict, list)) else body
        began = time.monotonic()
        self.told(method, path, text)
        return time.monotonic() - began

    def rest(self, patience=60):
        """Waits until it has nothing to do: what was loaded is written and packed."""
        deadline = time.monotonic() + patience
        before = self.cpu()
        while True:
            time.sleep(0.5)
            now = self.cpu()
            if now - before < 0.01:
                return
            if time.monotonic() > deadline:
                raise Trouble("elb does not come to rest")
            before = now

    def memory(self):
        return machine.memory(self.process.pid)

    def peak(self):
        """The most resident bytes that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu(self):
        return machine.cpu(self.process.pid)[0]


def etcd(processes, folder):
    """Starts a real etcd, and returns its port."""
    program = shutil.which("etcd") or "/usr/bin/etcd"
    port, peer = machine.free_port(), machine.free_port()
    client, own = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    process = processes.start(
        [program, "--data-dir", folder / "etcd", "--listen-client-urls", client, "--advertise-client-urls", client,
         "--listen-peer-urls", own, "--initial-advertise-peer-urls", own, "--initial-cluster", f"default={own}",
         "--log-level", "error", "--unsafe-no-fsync", "--quota-backend-bytes", str(4 << 30)], set(machine.cores()),
        stderr=(folder / "etcd.log").open("w"))
    for _ in range(200):
        try:
            with urllib.request.urlopen(f"{client}/health", timeout=1) as answer:
                if b"true" in answer.read():
                    return port
        except OSError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise Trouble("etcd does not start")
