// What would become of a request, asked of the ELB that serves.

let asked = null;

/** The fields as they are written, one a line, in the form of the API. */
function fields(text) {
  const headers = {};
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (line.trim() === "") continue;
    const [name, value] = colon < 0 ? [line.trim(), ""] : [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    if (Object.hasOwn(headers, name)) headers[name].push(value);
    else Object.defineProperty(headers, name, { value: [value], enumerable: true });
  }
  return headers;
}

async function explain(event) {
  event?.preventDefault();
  const client = $("x-client").value.trim();
  asked = {
    method: $("x-method").value.trim() || "GET",
    host: $("x-host").value.trim(),
    path: $("x-path").value.trim() || "/",
    headers: fields($("x-headers").value),
    ...(client === "" ? {} : { client }),
  };
  await explainAgain();
}

/** Asks the last question once more: its answer may be another one now. */
async function explainAgain() {
  const question = asked;
  if (question === null) return;
  try {
    const told = await askJson("explain", {
      method: "POST", body: JSON.stringify(question), headers: { "Content-Type": "application/json" },
    });
    if (question !== asked) return;
    if (told.domain !== null && told.domain.name !== chosen) {
      await choose(told.domain.name);
      asked = question;
      $("x-host").value = question.host;
    }
    tell(told);
    light(told);
  } catch (why) {
    if (question !== asked) return;
    light(null);
    $("told").replaceChildren(make("p", { class: "is-failing" }, why.message));
  }
}

/** Forgets the last answer. */
function untell() {
  asked = null;
  $("told").replaceChildren();
  light(null);
}

function tell(told) {
  const parts = [make("p", { class: "verdict" }, verdict(told))];
  if (told.rules.length > 0 || told.end) {
    const steps = told.rules.map((step) => make("li", {}, make("strong", {}, step.rule), ` ${step.type}: `,
      ...sight(step), step.next ? ` → ${step.branch} leads to ` : " → ",
      step.next ? make("strong", {}, step.next) : `no ${step.branch ?? "way"} on`));
    if (told.end) steps.push(make("li", {}, make("strong", {}, told.end.rule), ` ${told.end.type}: the end`));
    parts.push(make("ol", { "aria-label": "The way through the rules" }, ...steps));
  }
  if (told.upstream) {
    const server = (one) => make("li", {}, make("code", {}, one.server === one.address ? one.server : `${one.server} (${one.address})`),
      " ", make("span", { class: one.can_be_chosen ? "is-up" : "is-failing" }, one.can_be_chosen ? "can be chosen" : "cannot be chosen"),
      `: ${one.why}`);
    parts.push(make("div", {}, make("p", {}, `Servers of ${told.upstream.name} (${told.upstream.options})`),
      make("ul", {}, ...told.upstream.servers.map(server))));
  }
  const text = told.to_server ?? told.answer?.text;
  if (text) {
    parts.push(make("details", {}, make("summary", {}, told.to_server ? "What the server would get" : "What the client would get"),
      make("pre", { tabindex: 0 }, text)));
  }
  $("told").replaceChildren(...parts);
}

function verdict(told) {
  const domain = told.domain === null ? "No domain" : `Domain ${told.domain.name} (${told.domain.found})`;
  if (told.is_admin_api) return "This is a call of the admin API: rules are not asked.";
  if (told.upstream) return `${domain} → upstream ${told.upstream.name}`;
  const { status, reason } = told.answer ?? {};
  return `${domain} → ELB answers ${status ?? "itself"}${reason ? ` (${reason})` : ""}`;
}

/** What a rule looked at, and for what. */
function sight(step) {
  const parts = [];
  if (step.looks_at && step.looks_at !== step.type) parts.push(`${step.looks_at} `);
  if (step.value !== null && step.value !== undefined) parts.push(make("code", {}, JSON.stringify(step.value)));
  if (step.test) parts.push(" against ", make("code", {}, typeof step.test === "string" ? step.test : JSON.stringify(step.test)));
  return parts;
}
