"""Who stands behind the targets: an origin that is never the bottleneck, or servers that take their time."""

from . import machine, targets


def origin(scenario, processes, *, on):
    """Starts an origin on these cores, and returns its port as the only one of a list."""
    return started("origin", scenario, 1, ("--threads", len(on)), processes, on)


def farm(scenario, processes, *, on):
    """Starts as many servers as the scenario has, and returns their ports."""
    return started("farm", scenario, scenario.servers, scenario.farm, processes, on)


def started(name, scenario, count, arguments, processes, on):
    ports = [machine.free_port() for _ in range(count)]
    addresses = [word for port in ports for word in ("--listen", f"127.0.0.1:{port}")]
    process = processes.start((machine.tool(name), *addresses, *arguments), on)
    for port in ports:
        machine.wait_for(port, targets.request(scenario), process, f"the {name}")
    return ports
