"""What TLS costs: ELB, nginx and HAProxy on one core, in turns, with the same certificate; the clients and the origin on the other."""

import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import time
from pathlib import Path

from . import machine
from .machine import Trouble

# wrk asks for the name in its address, which the kernel has to know.
NAME = "localhost"
# Kind of key -> what openssl makes it of.
KEYS = {"ecdsa": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "rsa": ("-newkey", "rsa:2048")}
# What is asked for, and over how many connections.
LOADS = [("small GET", "/128", 64), ("16 KiB response", "/16k", 64), ("1 MiB response", "/1m", 16)]

NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 20000; }}
http {{
    access_log off; keepalive_timeout 600; keepalive_requests 100000000;
    upstream up {{ server 127.0.0.1:{origin}; keepalive 64; }}
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-Proto https;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {folder}/tls/own.crt; ssl_certificate_key {folder}/tls/own.key; ssl_protocols TLSv1.2 TLSv1.3;
        location / {{ proxy_pass http://up; }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 9000
    ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    option forwardfor
    http-reuse always
frontend all
    bind 127.0.0.1:{port} ssl crt {folder}/own.pem alpn http/1.1 backlog 4096
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto https
    default_backend up
backend up
    server s 127.0.0.1:{origin}
"""


class Peers:
    """The three of them, before one origin."""

    def __init__(self, key, options, processes, folder):
        (folder / "tls").mkdir()
        certify(key, folder)
        ours, theirs = (sorted(machine.cores()) * 2)[:2]
        self.ours, self.theirs, self.processes = {ours}, {theirs}, processes
        self.trust = ssl.create_default_context(cafile=folder / "tls" / "own.crt")
        origin = machine.free_port()
        processes.start((machine.tool("origin"), "--listen", f"127.0.0.1:{origin}"), self.theirs, stdout=subprocess.DEVNULL)
        self.ports, self.running = {}, {}
        for name, command in (("elb", self.elb), ("nginx", nginx), ("haproxy", haproxy)):
            port = self.ports[name] = machine.free_port()
            log = (folder / f"{name}.log").open("w")
            words = command(options, port, origin, folder)
            self.running[name] = processes.start(words, self.ours, stdout=log, stderr=log)
            self.wait_for(name)

    @staticmethod
    def elb(options, port, origin, folder):
        rules = {"init": "r", "rules": {"r": {"type": "backend", "args": {"servername": "up"}}}}
        document = {"domains": {NAME: rules}, "upstreams": {"up": {f"127.0.0.1:{origin}": ""}}}
        (folder / "elb.json").write_text(json.dumps(document))
        return (options.elb, "--listen", "127.0.0.1:0", "--listen-tls", f"127.0.0.1:{port}", "--tls-dir", folder / "tls",
                "--store", f"file:{folder / 'elb.json'}", "--workers", 1, "--no-pin")

    def wait_for(self, name):
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.ask(name)
            except OSError as error:
                if time.monotonic() > deadline or self.running[name].poll() is not None:
                    raise Trouble(f"{name} does not answer: {error}") from error
            time.sleep(0.05)

    def connect(self, name, session=None):
        plain = socket.create_connection(("127.0.0.1", self.ports[name]), 30)
        return self.trust.wrap_socket(plain, server_hostname=NAME, session=session)

    def ask(self, name, session=None):
        """One request on a connection of its own. Returns its session, and whether that was taken up again."""
        with self.connect(name, session) as client:
            client.sendall(f"GET /128 HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode())
            while client.recv(65536):
                pass
            return client.session, client.session_reused

    def cpu(self, name):
        return machine.cpu(self.running[name].pid)[0]


def certify(key, folder):
    machine.need("openssl", "wrk", "nginx", "haproxy")
    own = folder / "tls" / "own"
    subprocess.run(("openssl", "req", "-x509", *KEYS[key], "-nodes", "-days", "9", "-subj", f"/CN={NAME}", "-addext",
                    f"subjectAltName=DNS:{NAME}", "-keyout", f"{own}.key", "-out", f"{own}.crt"),
                   check=True, stderr=subprocess.DEVNULL)
    (folder / "own.pem").write_text(Path(f"{own}.crt").read_text() + Path(f"{own}.key").read_text())


def nginx(_, port, origin, folder):
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(user=user, folder=folder, origin=origin, port=port))
    return machine.find("nginx"), "-c", folder / "nginx.conf", "-p", folder


def haproxy(_, port, origin, folder):
    (folder / "haproxy.cfg").write_text(HAPROXY.format(folder=folder, origin=origin, port=port))
    return machine.find("haproxy"), "-f", folder / "haproxy.cfg", "-db"


def row(what, figures, unit="µs"):
    """A line of figures, and how ELB's is to the better one of the others."""
    better = min(figures["nginx"], figures["haproxy"])
    ratio = f"{figures['elb'] / better:.2f}" if better else "-"
    shown = "  ".join(f"{name} {figure:7.1f}" for name, figure in figures.items())
    print(f"  {what:36} {shown} {unit}  {ratio}", flush=True)


def under_load(peers, path, connections, seconds):
    """CPU time of each for a request, in µs."""
    spent = {}
    for name in peers.running:
        before = peers.cpu(name)
        command = (machine.find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s",
                   f"https://{NAME}:{peers.ports[name]}{path}")
        process = peers.processes.start(command, peers.theirs, stdout=subprocess.PIPE, text=True)
        told = process.communicate()[0]
        peers.processes.end(process)
        if "Non-2xx" in told or not (found := re.search(r"(\d+) requests in", told)):
            raise Trouble(f"{name}: {told}")
        spent[name] = (peers.cpu(name) - before) / int(found[1]) * 1e6
    return spent


def new_connections(peers, count, resumed):
    """CPU time of each for a connection with one request, in µs."""
    spent = {}
    for name in peers.running:
        session, _ = peers.ask(name)
        before = peers.cpu(name)
        for _ in range(count):
            newer, again = peers.ask(name, session if resumed else None)
            if again != resumed:
                raise Trouble(f"{name}: a session was {'not ' * resumed}taken up again")
            session = newer
        spent[name] = (peers.cpu(name) - before) / count * 1e6
    return spent


def idle(peers, count):
    """Memory of each for a connection that rests, in KiB."""
    taken = {}
    for name in peers.running:
        before = machine.memory(peers.running[name].pid)
        resting = []
        for _ in range(count):
            client = peers.connect(name)
            client.sendall(f"GET /128 HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            client.recv(65536)
            resting.append(client)
        taken[name] = (machine.memory(peers.running[name].pid) - before) / count / 1024
        for client in resting:
            client.close()
    return taken


def measure(key, options, processes, folder):
    """All rows for one kind of key."""
    peers = Peers(key, options, processes, folder)
    # First, as what was freed by others would be taken again.
    row("memory of an idle connection", idle(peers, options.connections), "KiB")
    for what, path, connections in LOADS if key == "ecdsa" else []:
        rounds = [under_load(peers, path, connections, options.seconds) for _ in range(options.rounds)]
        row(what, {name: statistics.median(one[name] for one in rounds) for name in peers.running})
    for what, resumed in (("a new connection and a request", False), ("the same, taken up again", True)):
        rounds = [new_connections(peers, options.connections, resumed) for _ in range(options.rounds)]
        row(what, {name: statistics.median(one[name] for one in rounds) for name in peers.running})
