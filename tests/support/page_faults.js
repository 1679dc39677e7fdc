// Looks through a page for what somebody could not read, name or reach. The body of a function that gives a list.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const color = (text) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = "#000"; canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return { rgb: [r, g, b], a: a / 255 };
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let one = element; one !== null; one = one.parentElement) {
    const { rgb, a } = color(getComputedStyle(one).backgroundColor);
    if (a === 1) return rgb;
  }
  return [255, 255, 255];
};
const faults = [];
const isSeen = (element) => element.checkVisibility() && element.getClientRects().length > 0;
for (const element of document.querySelectorAll("body *")) {
  if (!isSeen(element) || element.closest("svg, script")) continue;
  if (![...element.childNodes].some((one) => one.nodeType === 3 && one.data.trim() !== "")) continue;
  const [a, b] = [luminance(color(getComputedStyle(element).color).rgb), luminance(behind(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) faults.push(`${ratio.toFixed(2)}: ${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`);
}
const panel = color(getComputedStyle(document.querySelector(".panel")).backgroundColor).rgb;
for (const text of document.querySelectorAll("#graph text, #graph tspan")) {
  const [a, b] = [luminance(color(getComputedStyle(text).fill).rgb), luminance(panel)];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) faults.push(`${ratio.toFixed(2)}: ${text.textContent}`);
}
for (const field of document.querySelectorAll("input, textarea, select")) {
  if (field.labels.length === 0) faults.push(`no label: ${field.id}`);
}
for (const button of document.querySelectorAll("button")) {
  if (isSeen(button) && button.textContent.trim() === "") faults.push(`no name: ${button.id}`);
}
for (const picture of document.querySelectorAll("svg")) {
  const by = (picture.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
  if (picture.getAttribute("role") !== "img" || !(picture.getAttribute("aria-label") || by)) faults.push("a picture without a name");
}
for (const table of document.querySelectorAll("table")) {
  if (table.caption === null) faults.push(`no caption: ${table.id}`);
  for (const head of table.tHead.querySelectorAll("th")) if (head.scope !== "col") faults.push(`no scope: ${head.textContent}`);
  for (const row of table.querySelectorAll("tbody tr")) {
    if (row.cells[0].tagName !== "TH" && table.id !== "failed") faults.push(`a row without a heading: ${table.id}`);
  }
}
for (const tab of document.querySelectorAll("[role=tab]")) {
  if (document.getElementById(tab.getAttribute("aria-controls")) === null) faults.push(`a tab of nothing: ${tab.id}`);
}
for (const one of ["header", "main", "footer", "h1", "html[lang]", "[aria-live]"]) {
  if (document.querySelector(one) === null) faults.push(`no ${one}`);
}
const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
faults.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: ${id}`));
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) faults.push(`${wide} pixels too wide`);
return faults;
