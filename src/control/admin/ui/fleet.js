// All ELBs that share this configuration: asked for every few seconds while it is looked at.

/** From one question to the next, and rows that are shown: of a large fleet those that lag, which come first. */
const FLEET = { every: 3000, rows: 100 };

let fleetAsked = 0;

/** Asks if the view is open and it is time; a page that nobody looks at asks nothing. */
async function loadFleet() {
  const now = Date.now();
  if ($("view-fleet").hidden || document.hidden || now - fleetAsked < FLEET.every) return;
  fleetAsked = now;
  try {
    showFleet(await askJson("fleet?limit=" + FLEET.rows));
  } catch (why) {
    if (why.wantsToken) wantToken(why.message);
    else say($("fleet-state"), "It is not known: " + why.message);
  }
}

const tail = (digest) => (digest === null ? "–" : digest.slice(0, 16));

function showFleet({ converged, digest, node, why, all, lagging, nodes }) {
  say($("fleet-state"), converged ? `${things(all, "node")}, all on ${tail(digest)}`
    : lagging > 0 ? `${lagging} of ${things(all, "node")} lag behind ${tail(digest)}` : "It is not known whether all serve the same");
  $("fleet-state").classList.toggle("bad", !converged);
  $("fleet-why").hidden = why === null;
  say($("fleet-why"), why ?? "");
  follow($("fleet").tBodies[0], nodes, (one) => one.id + " " + one.started,
    (one) => row(make("th", { scope: "row", class: "name" }, one.id), 8), (line, one) => {
      const [, lags, address, own, revision, since, unsaved, health, elb] = line.cells;
      say(lags, one.lags ?? "no");
      lags.classList.toggle("bad", one.lags !== null);
      say(address, one.id === node ? one.address + " (this one)" : one.address);
      say(own, tail(one.digest));
      number(revision, one.revision, String);
      say(since, one.since === null ? "–" : new Date(one.since).toLocaleString());
      number(unsaved, one.unsaved);
      say(health, [...(one.health.ready ? ["ready"] : one.health.reasons), ...one.health.alarms].join(", ") || "unknown");
      say(elb, one.elb);
    });
  say($("fleet-more"), all > nodes.length ? `and ${all - nodes.length} more` : "");
}
