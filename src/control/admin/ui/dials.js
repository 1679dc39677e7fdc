// The last minute, second by second.

const MINUTE = 60;
/** Seconds that an answer may be late. */
const LATE = 5;

/** The seconds that are known, the oldest first. */
const seconds = [];

function learn(more) {
  // Much lower numbers are those of another process, and what was known is not its own; a little lower is an answer that came late.
  if (more.length > 0 && seconds.length > 0 && more[more.length - 1].second < seconds[seconds.length - 1].second - LATE) {
    seconds.length = 0;
  }
  const last = seconds.length > 0 ? seconds[seconds.length - 1].second : -1;
  seconds.push(...more.filter((second) => second.second > last));
  seconds.splice(0, Math.max(0, seconds.length - MINUTE));
}

const DIALS = [
  { id: "dial-requests", member: "requests", text: perSecond, name: "Requests a second" },
  { id: "dial-errors", member: "errors", text: perSecond, name: "Errors a second" },
  { id: "dial-p50", member: "p50_ms", text: milliseconds, name: "Half of the requests take at most" },
  { id: "dial-p99", member: "p99_ms", text: milliseconds, name: "99 of 100 requests take at most" },
];

function showDials(rate) {
  for (const { id, member, text, name } of DIALS) {
    const dial = $(id);
    const values = seconds.map((second) => second[member]);
    const most = Math.max(0, ...values.filter((value) => value !== null));
    say(dial.querySelector(".number"), text(rate[member]));
    say(dial.querySelector(".most"), "most " + text(most));
    let line = dial.querySelector("svg");
    if (line === null) {
      line = draw("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", role: "img" },
        draw("path", { class: "area" }), draw("path", { class: "line" }));
      dial.append(line);
    }
    line.setAttribute("aria-label", `${name}, over the last minute: now ${text(rate[member])}, at most ${text(most)}`);
    const { over, under } = curve(values, most);
    line.querySelector(".line").setAttribute("d", over);
    line.querySelector(".area").setAttribute("d", under);
  }
  $("dial-errors").classList.toggle("some", rate.errors > 0);
}

/** The line through these values, the newest at the right edge, and the area under it; a second without one is a gap. */
function curve(values, most) {
  const x = (at) => (100 * (MINUTE - values.length + at)) / (MINUTE - 1);
  const y = (value) => (most > 0 ? 96 - (92 * value) / most : 96);
  let [over, under, begun] = ["", "", null];
  const end = (at) => {
    if (begun !== null) under += `L${x(at).toFixed(2)} 100L${x(begun).toFixed(2)} 100Z`;
    begun = null;
  };
  values.forEach((value, at) => {
    if (value === null) return end(at - 1);
    const point = `${x(at).toFixed(2)} ${y(value).toFixed(2)}`;
    over += (begun === null ? "M" : "L") + point;
    under += (begun === null ? "M" : "L") + point;
    begun ??= at;
    return undefined;
  });
  end(values.length - 1);
  return { over, under };
}
