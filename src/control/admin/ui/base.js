// What all parts of the page stand on: elements, numbers as text, and calls of the API.
// Text from the API goes into the page as text and in no other way: names of rules are whatever somebody wrote.

const $ = (id) => document.getElementById(id);

/** An element with these attributes and children; a string is text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  return fill(element, attributes, children);
}

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text if it is another one, so that nothing is laid out for nothing. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A number as it fits a column. */
function short(number) {
  if (number === null || number === undefined) return "–";
  const size = Math.abs(number);
  if (size >= 1e9) return (number / 1e9).toFixed(1) + " G";
  if (size >= 1e6) return (number / 1e6).toFixed(1) + " M";
  if (size >= 1e4) return (number / 1e3).toFixed(1) + " k";
  if (size >= 100 || Number.isInteger(number)) return number.toFixed(0);
  return number.toFixed(size >= 10 ? 1 : 2);
}

/** So many things, in full. */
function things(count, one) {
  return `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`;
}

/** A rate: a tenth is enough, but for what is rare. */
function perSecond(number) {
  if (number === null || number === 0 || number >= 100) return short(number);
  return number.toFixed(number < 0.1 ? 2 : 1);
}

function milliseconds(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1000) return (number / 1000).toFixed(number >= 10000 ? 0 : 1) + " s";
  return (number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(2)) + " ms";
}

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; number >= 1024 && unit + 1 < units.length; unit += 1) number /= 1024;
  return (unit === 0 || number >= 100 ? number.toFixed(0) : number.toFixed(1)) + " " + units[unit];
}

/** Why a call has no answer. */
class Refused extends Error {
  constructor(status, why, isOfNow) {
    super(why);
    this.status = status;
    // One that came late says nothing about a token that was given since.
    this.wantsToken = status === 401 && isOfNow;
  }
}

// The token stays in this variable: no storage of the browser sees it, and it is gone with the page.
let token = "";

/** Asks the API; the answer is good, or a Refused is thrown. */
async function ask(path, options = {}) {
  const headers = { ...options.headers };
  const own = token;
  if (own !== "") headers.Authorization = "Bearer " + own;
  const answer = await fetch("/__erulb__/" + path, {
    ...options, headers, cache: "no-store", credentials: "omit", redirect: "error",
  });
  if (answer.ok) return answer;
  let why = answer.status + " " + answer.statusText;
  try {
    const told = await answer.json();
    if (typeof told.error === "string") why = (told.pointer ? told.pointer + ": " : "") + told.error;
  } catch {
    // It is no JSON: the status says enough.
  }
  throw new Refused(answer.status, why, own === token);
}

async function askJson(path, options) {
  return (await ask(path, options)).json();
}
