// Tables that change each second without moving under whoever points at them.

/** Makes the children of `parent` those of `items`, keeping elements by key. `make` makes one, `update` fills it. */
function follow(parent, items, keyOf, makeOne, update) {
  const known = new Map();
  for (const child of [...parent.children]) {
    if (child.dataset.key !== undefined) known.set(child.dataset.key, child);
  }
  // Under the pointer and the focus the order stays: rows must not jump away from a click.
  const isHeld = parent.matches(":hover") || parent.contains(document.activeElement);
  const there = new Set();
  let place = null;
  for (const item of items) {
    const key = keyOf(item);
    let child = known.get(key);
    if (child === undefined) {
      child = makeOne(item);
      child.dataset.key = key;
      parent.append(child);
    }
    there.add(key);
    if (!isHeld) {
      const next = place === null ? parent.querySelector(":scope > [data-key]") : place.nextElementSibling;
      if (next !== child) parent.insertBefore(child, next);
    }
    place = child;
    update(child, item);
  }
  for (const [key, child] of known) if (!there.has(key)) child.remove();
}

/** A row with a heading and so many cells of numbers behind it. */
function row(heading, cells) {
  return make("tr", {}, heading, ...Array.from({ length: cells }, () => make("td", { class: "num" })));
}

function number(cell, value, text = short) {
  say(cell, text(value));
  cell.classList.toggle("zero", value === 0 || value === null);
}

/** A rate with a bar that shows its part of the largest one. */
function rateCell(cell, value, most) {
  number(cell, value, perSecond);
  cell.classList.add("bar");
  cell.style.setProperty("--share", most > 0 ? (value / most).toFixed(3) : "0");
}

function errorCell(cell, value, text = perSecond) {
  number(cell, value, text);
  cell.classList.toggle("bad", value > 0);
}

/** What is looked for and how it is sorted. */
const wanted = { domains: "", upstreams: "", sort: "rate", limit: 50 };
let chosen = "";

function counted(id, { matching, rows }, what, text) {
  const found = things(matching, what) + (text === "" ? "" : ` with “${text}”`);
  say($(id), rows.length < matching ? `${found}, the first ${rows.length} are shown` : found);
}

function showDomains(list) {
  counted("count-domains", list, "domain", wanted.domains);
  const most = Math.max(0, ...list.rows.map((one) => one.rate));
  const body = $("domains").tBodies[0];
  follow(body, list.rows, (one) => one.name, (one) => {
    const button = make("button", { type: "button", class: "row name" }, one.name);
    button.addEventListener("click", () => choose(one.name));
    return row(make("th", { scope: "row" }, button), 2);
  }, (line, one) => {
    const isChosen = one.name === chosen;
    line.classList.toggle("chosen", isChosen);
    line.querySelector("button").setAttribute("aria-current", String(isChosen));
    rateCell(line.cells[1], one.rate, most);
    errorCell(line.cells[2], one.errors);
  });
}

function showUpstreams(list, servers) {
  counted("count-upstreams", list, "upstream", wanted.upstreams);
  const most = Math.max(0, ...list.rows.map((one) => one.rate));
  follow($("upstreams"), list.rows, (one) => one.name, (one) => make("tbody", {},
    make("tr", { "data-key": "" }, make("th", { scope: "rowgroup", class: "name" }, one.name), make("td"),
      ...Array.from({ length: 5 }, () => make("td", { class: "num" })))), (group, one) => {
    const [, state, rate, errors, half, most99, active] = group.rows[0].cells;
    say(state, `${one.usable} of ${one.servers} usable`);
    state.className = one.usable === 0 ? "is-failing" : one.usable < one.servers ? "is-draining" : "";
    rateCell(rate, one.rate, most);
    errorCell(errors, one.errors);
    number(half, one.p50_ms, milliseconds);
    number(most99, one.p99_ms, milliseconds);
    const own = servers.rows.filter((server) => server.upstream === one.name);
    number(active, own.reduce((sum, server) => sum + server.active, 0));
    showServers(group, own, most);
  });
}

function showServers(group, servers, most) {
  const key = (one) => `${one.server} ${one.address ?? ""}`;
  // The row of the upstream is in the list, so that it stays the first.
  follow(group, [null, ...servers], (one) => (one === null ? "" : key(one)), (one) => {
    const line = row(make("th", { scope: "row", class: "name" }, one.server), 6);
    line.className = "server";
    line.cells[1].className = "";
    line.cells[1].append(make("span"), make("span", { class: "why" }));
    if (one.address !== null && one.address !== one.server) {
      line.cells[0].append(make("span", { class: "why" }, one.address));
    }
    return line;
  }, (line, one) => {
    if (one === null) return;
    const [state, why] = line.cells[1].children;
    say(state, one.state);
    state.className = "is-" + one.state;
    const until = one.until === null ? "" : `, until ${one.until.slice(11, 19)} UTC`;
    say(why, one.reason === null ? "" : one.reason + until);
    rateCell(line.cells[2], one.rate, most);
    errorCell(line.cells[3], one.errors);
    number(line.cells[6], one.active);
  });
}

function showReasons(reasons) {
  $("no-reasons").hidden = reasons.length > 0;
  $("reasons").hidden = reasons.length === 0;
  follow($("reasons").tBodies[0], reasons, (one) => one.reason,
    (one) => row(make("th", { scope: "row", class: "name" }, one.reason), 3), (line, one) => {
      say(line.cells[1], one.status === null ? "–" : String(one.status));
      errorCell(line.cells[2], one.lately, short);
      number(line.cells[3], one.total);
    });
}

/** The last requests that failed, where the API has them: an object for each, whose members are the columns. */
function showFailed(failed) {
  const isThere = Array.isArray(failed) && failed.length > 0;
  $("failed-panel").hidden = !isThere;
  if (!isThere) return;
  const names = Object.keys(failed[0]);
  const cell = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
  $("failed").tHead.replaceChildren(make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
  $("failed").tBodies[0].replaceChildren(
    ...failed.map((one) => make("tr", {}, ...names.map((name) => make("td", { class: "name" }, cell(one[name]))))));
}

function showWorkers(workers) {
  const most = Math.max(0, ...workers.map((one) => one.rate));
  follow($("workers").tBodies[0], workers, (one) => String(one.worker),
    (one) => row(make("th", { scope: "row" }, String(one.worker)), 8), (line, one) => {
      const [, version, rate, clients, exchanges, all, idle, buffers, age] = line.cells;
      say(version, one.version === null ? "ended" : String(one.version));
      rateCell(rate, one.rate, most);
      number(clients, one.clients);
      number(exchanges, one.exchanges);
      number(all, one.server_connections);
      number(idle, one.server_connections_idle);
      number(buffers, one.window_bytes, bytes);
      say(age, `${(one.age_ms / 1000).toFixed(1)} s ago`);
      age.classList.toggle("bad", one.age_ms > 5000);
    });
}

function showFacts({ configuration, store, total, elb }) {
  const facts = [
    ["Version of ELB", elb],
    ["Configuration", `version ${configuration.version}, served by ${configuration.applied} of ${configuration.workers} workers`],
    ["Rules", `${things(configuration.domains, "domain")}, ${things(configuration.upstreams, "upstream")}`],
    ["Unsaved changes", configuration.unsaved === 0 ? "none" : `${configuration.unsaved}: a restart would lose them`],
    ["Store", store.up ? `answers, at revision ${store.revision}` : `does not answer: ${store.why ?? "it is not known why"}`],
    ["Since the start", `${things(total.requests, "request")}, ${short(total.errors)} of them errors`],
    ["From clients", bytes(total.received)],
    ["To clients", bytes(total.sent)],
  ];
  follow($("facts"), facts.flatMap(([name, text]) => [["dt", name, name], ["dd", name, text]]),
    ([tag, name]) => tag + name, ([tag]) => make(tag), (element, [, , text]) => say(element, text));
}
