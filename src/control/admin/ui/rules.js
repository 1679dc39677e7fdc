// The rules of one domain, drawn, and the way of an explained request lit in them.

/** Rules that are drawn: more would be a picture that nobody reads, and take seconds to lay out. */
const DRAWN = 400;
/** Characters of a line in a box, which fit its width. */
const LINE = 25;

/** How small a drawing may become to fit: letters of 12 pixels are read down to 9. */
const SMALLEST = 0.75;

let drawn = null;
let asking = null;

/** Shows another domain. */
async function choose(domain) {
  if (domain === chosen) return;
  chosen = domain;
  $("x-host").value = domain.startsWith("*") ? "" : domain;
  untell();
  for (const line of $("domains").tBodies[0].rows) {
    line.classList.toggle("chosen", line.dataset.key === domain);
    line.querySelector("button").setAttribute("aria-current", String(line.dataset.key === domain));
  }
  remember();
  await loadRules();
}

/** Asks for the rules of the domain that is shown, and draws them. */
async function loadRules() {
  const domain = chosen;
  if (domain === "") return;
  asking?.abort();
  asking = new AbortController();
  try {
    const told = await askJson("graph?domain=" + encodeURIComponent(domain), { signal: asking.signal });
    if (domain === chosen) showRules(told);
  } catch (why) {
    if (why.name === "AbortError" || domain !== chosen) return;
    drawn = null;
    $("graph").replaceChildren();
    $("graph-text").hidden = true;
    say($("graph-note"), why.message);
  }
}

function showRules(told) {
  drawn = told;
  const { rules } = told;
  say($("graph-title"), `Rules of ${told.domain}`);
  const lone = rules.filter((rule) => !rule.is_reached).length;
  const note = [`${things(rules.length, "rule")}, asked from the top`];
  if (lone > 0) note.push(`${lone} that nothing leads to, dashed`);
  if (rules.length > DRAWN) note.push("too many to be drawn");
  say($("graph-note"), note.join("; "));
  const svg = rules.length > DRAWN ? null : picture(rules);
  $("graph").replaceChildren(...(svg === null ? [] : [svg]));
  if (svg !== null) $("graph").scrollLeft = svg.clientWidth * svg.dataset.begin - $("graph").clientWidth / 2;
  $("graph-text").hidden = false;
  $("graph-text").querySelector("ol").replaceChildren(...rules.map((rule) => inWords(rule, rules, told.given)));
}

function clip(text) {
  const letters = [...text];
  return letters.length > LINE ? letters.slice(0, LINE - 1).join("") + "…" : text;
}

function picture(rules) {
  const { boxes, links, width, height } = layout(rules);
  const margin = 8;
  const svg = draw("svg", {
    viewBox: `${-margin} ${-margin} ${width + 2 * margin} ${height + 2 * margin}`,
    width: Math.round(width + 2 * margin), role: "img", "aria-labelledby": "graph-title graph-note",
  });
  // A wide one shrinks as far as it can be read, and is scrolled from there on; where it begins is in sight.
  svg.style.minWidth = `${Math.round(SMALLEST * width)}px`;
  svg.dataset.begin = String((boxes[0].x + margin) / (width + 2 * margin));
  for (const link of links) {
    const { points, words, heat } = link;
    const group = draw("g", { "data-from": rules[link.from].name, "data-to": rules[link.to].name });
    const line = draw("path", { class: "link", d: way(points) });
    // The share of requests that go this way, where it is counted.
    if (heat !== null) line.style.strokeWidth = String(1 + 5 * heat);
    const end = points[points.length - 1];
    const label = at(points[0], points[1], 0.36);
    const share = heat === null ? "" : ` ${Math.round(100 * heat)} %`;
    group.append(line, draw("path", { class: "tip", d: `M${end.x} ${end.y}l-4 -8h8z` }),
      draw("text", { class: "word", x: label.x, y: label.y + 4 }, words.join(", ") + share));
    if (link.isFar) group.append(draw("text", { class: "far", x: end.x, y: end.y + 14 }, "→ " + clip(rules[link.to].name)));
    svg.append(group);
  }
  rules.forEach((rule, number) => svg.append(box(rule, boxes[number])));
  return svg;
}

function box(rule, { x, y }) {
  const isEnd = rule.links.length === 0;
  const group = draw("g", { class: (isEnd ? "end" : "") + (rule.is_reached ? "" : " lone"), "data-rule": rule.name });
  const title = draw("text", { x: 10, y: 18 },
    draw("tspan", { class: "title" }, clip(rule.name)), draw("tspan", { class: "kind", dx: 7 }, rule.type));
  group.setAttribute("transform", `translate(${x - BOX.width / 2} ${y})`);
  group.append(
    draw("title", {}, `${rule.name}: ${rule.type} ${rule.about}`),
    draw("rect", { class: "box", width: BOX.width, height: BOX.height, rx: isEnd ? 2 : 9 }),
    title, draw("text", { class: "about", x: 10, y: 36 }, clip(rule.about)));
  return group;
}

/** A line through these points that goes down at each of them. */
function way(points) {
  let path = `M${points[0].x} ${points[0].y}`;
  for (let number = 1; number < points.length; number += 1) {
    const [a, b] = [points[number - 1], points[number]];
    const bend = Math.max(20, Math.abs(b.y - a.y) / 2);
    path += `C${a.x} ${a.y + bend} ${b.x} ${b.y - bend} ${b.x} ${b.y}`;
  }
  return path;
}

/** A place on the first part of such a line. */
function at(a, b, part) {
  const bend = Math.max(20, Math.abs(b.y - a.y) / 2);
  const mix = (p, q, r, s) => (1 - part) ** 3 * p + 3 * (1 - part) ** 2 * part * q + 3 * (1 - part) * part ** 2 * r + part ** 3 * s;
  return { x: mix(a.x, a.x, b.x, b.x), y: mix(a.y, a.y + bend, b.y - bend, b.y) };
}

/** A rule for those who do not see the picture, with its arguments in full. */
function inWords(rule, rules, given) {
  const { succ, fail, arms, ...args } = given?.rules?.[rule.name]?.args ?? {};
  const parts = [make("strong", {}, rule.name), ` ${rule.type} `, make("code", {}, JSON.stringify(args))];
  for (const { word, to, heat } of rule.links) {
    parts.push(`; ${word} leads to ${rules[to].name}${typeof heat === "number" ? ` (${Math.round(100 * heat)} %)` : ""}`);
  }
  if (!rule.is_reached) parts.push("; nothing leads here");
  return make("li", {}, ...parts);
}

/** Lights the way of a request, as it was explained; null puts it out. */
function light(told) {
  const svg = $("graph").querySelector("svg");
  if (svg === null) return;
  const steps = told === null ? [] : told.rules;
  const rules = new Set(steps.map((step) => step.rule));
  if (told?.end) rules.add(told.end.rule);
  const links = new Set(steps.filter((step) => step.next).map((step) => JSON.stringify([step.rule, step.next])));
  for (const group of svg.querySelectorAll("g")) {
    const { rule, from, to } = group.dataset;
    group.classList.toggle("lit", rule !== undefined ? rules.has(rule) : links.has(JSON.stringify([from, to])));
  }
  svg.classList.toggle("lighting", rules.size > 0);
}
