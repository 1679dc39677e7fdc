// What happens when: the stream of events, the views, the keys.

/** How long after a failure the next attempt is made, at first and at most; and how often it is asked where there is no stream. */
const AGAIN = { first: 1000, most: 10000 };
const POLL = 2000;
/** A search waits until nobody has typed for so long. */
const TYPING = 200;
const TABS = ["domains", "upstreams", "errors", "fleet", "process"];

let overview = null;
let version = null;
let refreshing = null;
let streaming = null;
let again = AGAIN.first;

function state(word, text) {
  $("state").className = "pill " + word;
  say($("state"), text);
}

function show(told) {
  overview = told;
  learn(told.seconds);
  showDials(told.rate);
  showReasons(told.reasons);
  showWorkers(told.workers);
  showFacts(told);
  showAlarms(told.alarms);
  if (told.failed !== undefined) showFailed(told.failed);
  const { configuration, store } = told;
  say($("who"), `${told.elb} at ${location.host}`);
  say($("served"), `version ${configuration.version}, ${configuration.applied} of ${configuration.workers} workers; ` +
    (store.up ? "store up" : "store down"));
  if (version !== null && version !== configuration.version) {
    loadRules().then(explainAgain);
  }
  version = configuration.version;
}

function showAlarms(alarms) {
  $("alarms").hidden = alarms.length === 0;
  follow($("alarm-list"), alarms, (one) => one.code + one.message,
    (one) => make("li", {}, one.message + " ", make("code", {}, one.code)), () => {});
}

/** Asks for the rows that are shown; one question at a time, and of several that wait the last. */
async function refresh() {
  if (refreshing !== null) {
    refreshing.again = true;
    return;
  }
  refreshing = { again: false };
  try {
    do {
      refreshing.again = false;
      const told = await askJson("stats?" + new URLSearchParams(wanted));
      show(told);
      showDomains(told.domains);
      showUpstreams(told.upstreams, told.servers);
    } while (refreshing.again);
  } catch (why) {
    if (why.wantsToken) wantToken(why.message);
  } finally {
    refreshing = null;
  }
}

/** Reads server-sent events by fetch: unlike EventSource it can send the token. */
async function read(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return "ask again";
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const line = (name) => event.split("\n").find((one) => one.startsWith(name + ": "))?.slice(name.length + 2);
      const data = line("data");
      if (data === undefined) continue;
      if (line("event") === "end") return JSON.parse(data).why;
      again = AGAIN.first;
      state("live", "Live");
      show(JSON.parse(data));
      refresh();
      loadFleet();
    }
  }
}

const pause = (time) => new Promise((done) => { setTimeout(done, time); });

/** Keeps the page up to date until the token is asked for or the page is hidden. */
async function live() {
  if (streaming !== null) return;
  const own = streaming = new AbortController();
  while (streaming === own) {
    try {
      const last = seconds.length > 0 ? { "Last-Event-ID": String(seconds[seconds.length - 1].second) } : {};
      const why = await read(await ask("events", { signal: own.signal, headers: last }));
      if (why !== "ask again") state("gone", why);
    } catch (why) {
      if (streaming !== own) return;
      if (why.wantsToken) return wantToken(why.message);
      if (why.status === 503) {
        state("live", "Live, by asking");
        await refresh();
        await loadFleet();
        await pause(POLL);
        continue;
      }
      state("gone", why.status === undefined ? "No connection, trying again" : why.message);
      again = Math.min(AGAIN.most, again * 2);
    }
    await pause(again);
  }
  return undefined;
}

function sleep() {
  const own = streaming;
  streaming = null;
  own?.abort();
}

function wantToken(why) {
  sleep();
  state("", "Waiting for the token");
  $("ask").hidden = false;
  if (token !== "") say($("ask-why"), why);
  token = "";
  $("ask-token").focus();
}

function open(tab, isFocused) {
  for (const one of TABS) {
    const isOpen = one === tab;
    $("tab-" + one).setAttribute("aria-selected", String(isOpen));
    $("tab-" + one).tabIndex = isOpen ? 0 : -1;
    $("view-" + one).hidden = !isOpen;
  }
  if (isFocused) $("tab-" + tab).focus();
  loadFleet();
  remember();
}

const opened = () => TABS.find((tab) => !$("view-" + tab).hidden);

/** The address of the page leads to what is shown. */
function remember() {
  history.replaceState(null, "", "#" + opened() + (chosen === "" ? "" : "/" + encodeURIComponent(chosen)));
}

function recall() {
  const [tab, domain] = location.hash.slice(1).split("/");
  if (TABS.includes(tab)) open(tab, false);
  try {
    if (domain) choose(decodeURIComponent(domain));
  } catch {
    // It is no address of this page.
  }
}

function sort(by) {
  wanted.sort = by;
  for (const head of document.querySelectorAll("th[data-sort]")) {
    if (head.dataset.sort === by) head.setAttribute("aria-sort", by === "name" ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = event.target;
  const isTyping = at.matches("input, textarea, select");
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    if (opened() !== "upstreams") open("domains", false);
    const find = $("find-" + opened());
    find.focus();
    find.select();
  } else if (at.matches("[role=tab]")) {
    const now = TABS.indexOf(at.id.slice(4));
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: TABS.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    open(TABS[(to + TABS.length) % TABS.length], true);
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && at.matches("button.row, #find-domains")) {
    const rows = [...document.querySelectorAll("#domains button.row")];
    const to = rows[rows.indexOf(at) + (event.key === "ArrowDown" ? 1 : -1)];
    event.preventDefault();
    if (to !== undefined) to.focus();
    else if (event.key === "ArrowUp") $("find-domains").focus();
  }
}

/** Light, dark, or what the system says. */
function theme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  say($("theme"), "Theme: " + name);
}

function begin() {
  $("theme").addEventListener("click", () => {
    const names = ["system", "light", "dark"];
    theme(names[(names.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % names.length]);
  });
  for (const tab of TABS) $("tab-" + tab).addEventListener("click", () => open(tab, true));
  for (const head of document.querySelectorAll("th[data-sort] button")) {
    head.addEventListener("click", () => {
      sort(head.parentElement.dataset.sort);
      refresh();
    });
  }
  let typing;
  for (const list of ["domains", "upstreams"]) {
    $("find-" + list).addEventListener("input", (event) => {
      wanted[list] = event.target.value.trim();
      clearTimeout(typing);
      typing = setTimeout(refresh, TYPING);
    });
  }
  $("explain").addEventListener("submit", explain);
  $("x-clear").addEventListener("click", () => {
    untell();
    $("x-path").focus();
  });
  $("ask-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("ask-token").value;
    $("ask-token").value = "";
    $("ask").hidden = true;
    state("", "Connecting");
    live();
    loadRules();
  });
  document.addEventListener("keydown", keys);
  // A page that nobody sees takes no place of the API.
  document.addEventListener("visibilitychange", () => (document.hidden ? sleep() : $("ask").hidden && live()));
  addEventListener("hashchange", recall);
  sort(wanted.sort);
  recall();
  live();
}

begin();
