"""Who answers: ELB, its peers and the floor, each set up for the same work.

All of them keep connections to the origin, add X-Forwarded-For and X-Real-IP, and write no access log. Buffers of the
peers are large enough for every body but the megabyte, and their limits are out of the way.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import machine, scenarios

PEERS = ("nginx", "haproxy")
# Idle connections to the origin that may be kept: more than any scenario has at once.
IDLE = 2048
FOREVER = 1_000_000_000
# Seconds until a target must answer, by itself and under a tool that makes it slow.
PATIENCE = 30
SLOWLY = 300


@dataclass
class Running:
    """A target that answers."""

    name: str
    port: int
    process: subprocess.Popen
    workers: int = 1

    @property
    def pid(self):
        return self.process.pid


def request(scenario):
    host = scenarios.domains(scenario.config)[-1]
    return f"GET {scenario.path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def methods(name, scenario):
    """The methods of balancing of a scenario that a target knows."""
    # The relay knows one server and no methods.
    known = {"nginx": NGINX_METHODS, "haproxy": HAPROXY_METHODS, "relay": () if scenario.servers else ("round_robin",)}
    return [method for method in scenario.methods if name not in known or method in known[name]]


def start(name, scenario, servers, processes, folder, *, on, workers, binaries, method="round_robin", under=()):
    """Starts a target before the servers at these ports, on these cores, under another program if one is given, and
    waits until it answers."""
    port = machine.free_port()
    folder = Path(folder) / f"{name}-{method}-{scenario.name}-{workers}"
    folder.mkdir()
    command = command_of(name, scenario, servers, method, port, folder, on, workers, binaries)
    with open(folder / "output", "wb") as output:
        process = processes.start((*under, *command), on, stdout=output, stderr=subprocess.STDOUT)
    try:
        machine.wait_for(port, request(scenario), process, name, SLOWLY if under else PATIENCE)
    except machine.Trouble as trouble:
        raise machine.Trouble(f"{trouble}\n{(folder / 'output').read_text(errors='replace')}") from trouble
    shown = f"{name} {method}" if len(scenario.methods) > 1 else name
    return Running(shown, port, process, workers)


def command_of(name, scenario, servers, method, port, folder, on, workers, binaries):
    if name in binaries:
        return elb(binaries[name], scenario.config, servers, method, port, folder, on, workers)
    if name == "nginx":
        return nginx(scenario.config, servers, method, port, folder, workers)
    if name == "haproxy":
        return haproxy(scenario.config, servers, method, port, folder, workers)
    if name == "relay":
        addresses = ("--listen", f"127.0.0.1:{port}", "--server", f"127.0.0.1:{servers[0]}")
        return (machine.tool("relay"), *addresses, "--threads", workers, *scenario.relay)
    raise machine.Trouble(f"{name} is no target")


def version(name, binaries):
    """What a target calls itself."""
    if name == "relay":
        return "the floor"
    program = str(binaries.get(name) or machine.find(name))
    told = subprocess.run([program, "--version" if name in binaries else "-v"], capture_output=True, text=True,
                          check=False)
    found = re.search(r"\d+(\.\d+)+", told.stdout + told.stderr)
    return found.group() if found else "?"


# ----------------------------------------------------------------------------------------------------------------- ELB


def elb(binary, config, servers, method, port, folder, on, workers):
    store = folder / "store.json"
    store.write_text(json.dumps(store_of(config, servers, method)))
    return (
        binary, "--listen", f"127.0.0.1:{port}", "--workers", workers,
        "--cpus", ",".join(str(core) for core in sorted(on)[:workers]),
        "--store", f"file:{store}", "--log-level", "warn", "--keepalive-timeout", "10m",
    )


def store_of(config, servers, method):
    # What is the default need not be said, and an ELB from before options would not know it.
    options = {} if method == "round_robin" else {"@options": f"method={method}"}
    backend = {"type": "backend", "args": {"servername": "up"}}
    rules = {"init": "up", "rules": {"up": backend}}
    if config == "rules":
        rules = {"init": "phone", "rules": {
            "phone": {"type": "ua", "args": {"pattern": "(iphone|android)", "fail": "blog"}},
            "blog": {"type": "path", "args": {"pattern": "^/blog/[0-9]+$", "regex": True, "rewrite": False,
                                              "succ": "up", "fail": "shop"}},
            "shop": {"type": "path", "args": {"pattern": "^/shop/(\\S+)$", "regex": True, "rewrite": False,
                                              "succ": "up"}},
            "up": backend,
        }}
    if config == "questions":
        asked = [
            ("header", {"name": "X-User", "pattern": "beta"}),
            ("method", {"methods": ["PURGE"]}),
            ("query", {"name": "page", "pattern": "9"}),
            ("cookie", {"name": "group", "pattern": "beta"}),
            ("client", {"cidrs": ["10.0.0.0/8"]}),
            ("host", {"pattern": "other.test"}),
        ]
        names = [kind for kind, _ in asked[1:]] + ["up"]
        rules = {"init": "header", "rules": {
            **{kind: {"type": kind, "args": {**args, "fail": then}} for (kind, args), then in zip(asked, names)},
            "up": backend,
        }}
    if config == "split":
        arms = [{"rule": "up", "weight": 95}, {"rule": "next", "weight": 5}]
        rules = {"init": "arms", "rules": {
            "arms": {"type": "split", "args": {"arms": arms, "key": "client"}}, "up": backend, "next": backend,
        }}
    return {
        "domains": dict.fromkeys(scenarios.domains(config), rules),
        "upstreams": {"up": {**{f"127.0.0.1:{server}": "" for server in servers}, **options}},
    }


# --------------------------------------------------------------------------------------------------------------- peers

NGINX = """
daemon off;
{user}
worker_processes {workers};
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 32768; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 600s;
    keepalive_requests {forever};
    client_body_buffer_size 64k;
    client_max_body_size 50m;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_buffer_size 32k;
    proxy_buffers 8 128k;
    proxy_busy_buffers_size 256k;
    proxy_max_temp_file_size 0;
    map_hash_max_size 65536;
    upstream up {{
        {method}
{servers}
        keepalive {idle};
        keepalive_requests {forever};
        keepalive_timeout 600s;
    }}
    map $host $site {{ default ""; {map} }}
    map $http_user_agent $phone {{ default 0; "~*(iphone|android)" 1; }}
    geo $office {{ default 0; 10.0.0.0/8 1; }}
    split_clients "${{remote_addr}}" $arm {{ 95% up; * up; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096 reuseport;
        server_name _;
        {locations}
    }}
}}
"""

NGINX_LOCATIONS = {
    "one": "location / { proxy_pass http://up; }",
    "domains": 'location / { if ($site = "") { return 404; } proxy_pass http://$site; }',
    "rules": """
        if ($site = "") { return 404; }
        if ($phone) { return 403; }
        location ~ ^/blog/[0-9]+$ { proxy_pass http://$site; }
        location ~ ^/shop/(\\S+)$ { proxy_pass http://$site; }
        location / { return 403; }""",
    "questions": """
        if ($site = "") { return 404; }
        if ($http_x_user = "beta") { return 403; }
        if ($request_method = "PURGE") { return 403; }
        if ($arg_page = "9") { return 403; }
        if ($cookie_group = "beta") { return 403; }
        if ($office) { return 403; }
        if ($host = "other.test") { return 403; }
        location / { proxy_pass http://$site; }""",
    "split": 'if ($site = "") { return 404; } location / { proxy_pass http://$arm; }',
}


NGINX_METHODS = {"round_robin": "", "least_conn": "least_conn;"}


def nginx(config, servers, method, port, folder, workers):
    names = folder / "hosts"
    names.write_text("".join(f"{name} up;\n" for name in scenarios.domains(config)))
    (folder / "nginx.conf").write_text(NGINX.format(
        user="user root;" if os.geteuid() == 0 else "", workers=workers, folder=folder, forever=FOREVER,
        method=NGINX_METHODS[method], servers="\n".join(f"        server 127.0.0.1:{server};" for server in servers),
        idle=IDLE, map=f"include {names};", port=port, locations=NGINX_LOCATIONS[config]))
    return machine.find("nginx"), "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"


HAPROXY = """
global
    nbthread {workers}
    maxconn {connections}
    tune.bufsize 65536
    # Many idle clients are no reason to close connections to the origin.
    tune.pool-low-fd-ratio 90
    tune.pool-high-fd-ratio 95
defaults
    mode http
    timeout connect 5s
    timeout client 600s
    timeout server 600s
    timeout http-keep-alive 600s
    option http-keep-alive
    option forwardfor
    http-reuse always
frontend all
    bind 127.0.0.1:{port} backlog 4096
    http-request set-header X-Real-IP %[src]
{rules}
backend up
    balance {method}
{servers}
"""

HAPROXY_RULES = {
    "one": "    default_backend up",
    "domains": "    use_backend %[req.hdr(host),lower,map_str({names},none)]",
    "rules": """    acl phone hdr_reg(user-agent) -i (iphone|android)
    acl blog path_reg ^/blog/[0-9]+$
    acl shop path_reg ^/shop/(\\S+)$
    http-request deny if phone
    use_backend %[req.hdr(host),lower,map_str({names},none)] if blog
    use_backend %[req.hdr(host),lower,map_str({names},none)] if shop""",
    "questions": """    http-request deny if { req.hdr(x-user) beta }
    http-request deny if { method PURGE }
    http-request deny if { url_param(page) 9 }
    http-request deny if { req.cook(group) beta }
    http-request deny if { src 10.0.0.0/8 }
    http-request deny if { req.hdr(host) other.test }
    use_backend %[req.hdr(host),lower,map_str({names},none)]""",
    "split": """    use_backend %[req.hdr(host),lower,map_str({names},none)] if { src,wt6,mod(100) lt 95 }
    use_backend %[req.hdr(host),lower,map_str({names},none)]""",
}


HAPROXY_METHODS = {"round_robin": "roundrobin", "least_conn": "leastconn"}


def haproxy(config, servers, method, port, folder, workers):
    names = folder / "hosts"
    names.write_text("".join(f"{name} up\n" for name in scenarios.domains(config)))
    # Not by format: braces are regexes' own.
    rules = HAPROXY_RULES[config].replace("{names}", str(names))
    # Each connection may need a second one, to the origin.
    connections = min(30_000, machine.open_files() // 2 - 64)
    named = "\n".join(f"    server s{number} 127.0.0.1:{server}" for number, server in enumerate(servers))
    text = HAPROXY.format(workers=workers, connections=connections, port=port, method=HAPROXY_METHODS[method],
                          servers=named, rules=rules)
    (folder / "haproxy.cfg").write_text(text)
    return machine.find("haproxy"), "-f", folder / "haproxy.cfg"
