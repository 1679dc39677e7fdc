// Where the rules of a drawing stand: in ranks from the top, with few crossings, each link going down.
// After Sugiyama: ranks by the longest way, places by the mean of the neighbours, links over several ranks through places of their own.

const BOX = { width: 196, height: 46, across: 26, down: 58 };
const PASSES = 12;
/** Ranks that a link may pass: one that goes farther, or back, ends in a word that names where it leads. Drawn whole, those of a
 * long chain of rules that all lead to one would be wider than any screen. */
const FAR = 5;
const WORD = 150;
/** What a word weighs against a box where both want the same place. */
const LIGHT = 0.01;

/** Gives `{boxes: [{x, y}], links: [{from, to, words, heat, points, isFar}], width, height}` for rules with `links: [{word, to, heat}]`. */
function layout(rules) {
  const links = merged(rules);
  const ranks = ranked(rules.length, links);
  // A place is a rule, or where a link passes a rank on its way.
  const places = rules.map((_, at) => ({ rank: ranks[at], width: BOX.width, up: [], down: [] }));
  for (const link of links) {
    link.through = [];
    let before = link.from;
    const span = ranks[link.to] - ranks[link.from];
    link.isFar = span <= 0 || span > FAR;
    for (let step = 1; step < (link.isFar ? 2 : span); step += 1) {
      places.push({ rank: ranks[link.from] + step, width: link.isFar ? WORD : 18, isWord: link.isFar, up: [], down: [] });
      join(places, before, places.length - 1);
      before = places.length - 1;
      link.through.push(before);
    }
    if (!link.isFar) join(places, before, link.to);
  }
  const rows = [];
  places.forEach((place, at) => (rows[place.rank] ??= []).push(at));
  order(rows, places);
  place(rows, places);
  const left = Math.min(...places.map((one) => one.x - one.width / 2));
  places.forEach((one) => { one.x -= left; });
  const y = (at) => places[at].rank * (BOX.height + BOX.down);
  const boxes = rules.map((_, at) => ({ x: places[at].x, y: y(at) }));
  for (const link of links) {
    const next = link.through.length > 0 ? link.through[0] : link.to;
    link.aim = places[next].x;
  }
  for (const link of links) {
    const siblings = links.filter((one) => one.from === link.from).sort((a, b) => a.aim - b.aim);
    const port = (siblings.indexOf(link) + 1) / (siblings.length + 1) - 0.5;
    const middle = link.through.map((at) => ({ x: places[at].x, y: y(at) + (link.isFar ? 0 : BOX.height / 2) }));
    link.points = [{ x: boxes[link.from].x + port * BOX.width * 0.8, y: boxes[link.from].y + BOX.height },
      ...middle, ...(link.isFar ? [] : [{ x: boxes[link.to].x, y: boxes[link.to].y }])];
  }
  const width = Math.max(...places.map((one) => one.x + one.width / 2));
  return { boxes, links, width, height: rows.length * (BOX.height + BOX.down) - BOX.down };
}

/** Links of one rule to one other are one link with several words. */
function merged(rules) {
  const links = new Map();
  rules.forEach((rule, from) => rule.links.forEach(({ word, to, heat }) => {
    const key = `${from} ${to}`;
    const link = links.get(key) ?? { from, to, words: [], heat: null };
    link.words.push(word);
    if (typeof heat === "number") link.heat = (link.heat ?? 0) + heat;
    links.set(key, link);
  }));
  return [...links.values()];
}

function join(places, up, down) {
  places[up].down.push(down);
  places[down].up.push(up);
}

/** The rank of each rule: one below the lowest of those that lead to it. Links that lead back to where a walk was do not count. */
function ranked(count, links) {
  const out = Array.from({ length: count }, () => []);
  links.forEach((link) => out[link.from].push(link.to));
  const [state, sorted] = [new Array(count).fill(0), []];
  const forward = Array.from({ length: count }, () => []);
  for (let start = 0; start < count; start += 1) {
    if (state[start] !== 0) continue;
    const stack = [[start, 0]];
    state[start] = 1;
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top[1] >= out[top[0]].length) {
        state[top[0]] = 2;
        sorted.push(top[0]);
        stack.pop();
        continue;
      }
      const to = out[top[0]][top[1]];
      top[1] += 1;
      if (state[to] === 1) continue;
      forward[top[0]].push(to);
      if (state[to] === 0) {
        state[to] = 1;
        stack.push([to, 0]);
      }
    }
  }
  const ranks = new Array(count).fill(0);
  for (const at of sorted.reverse()) for (const to of forward[at]) ranks[to] = Math.max(ranks[to], ranks[at] + 1);
  return ranks;
}

/** Sorts each row by the mean place of its neighbours, down and up in turn, and keeps the order with the fewest crossings. */
function order(rows, places) {
  const index = [];
  const number = () => rows.forEach((row) => row.forEach((at, place) => { index[at] = place; }));
  number();
  let best = { crossings: crossings(rows, places, index), rows: rows.map((row) => [...row]) };
  for (let pass = 0; pass < PASSES && best.crossings > 0; pass += 1) {
    const side = pass % 2 === 0 ? "up" : "down";
    for (const row of pass % 2 === 0 ? rows : [...rows].reverse()) {
      const mean = new Map(row.map((at) => {
        const near = places[at][side];
        return [at, near.length === 0 ? index[at] : near.reduce((sum, one) => sum + index[one], 0) / near.length];
      }));
      row.sort((a, b) => mean.get(a) - mean.get(b) || index[a] - index[b]);
      number();
    }
    const now = crossings(rows, places, index);
    if (now < best.crossings) best = { crossings: now, rows: rows.map((row) => [...row]) };
  }
  best.rows.forEach((row, rank) => { rows[rank] = row; });
}

/** How many pairs of links cross between two rows. */
function crossings(rows, places, index) {
  let count = 0;
  for (const row of rows) {
    const below = row.flatMap((at) => [...places[at].down].sort((a, b) => index[a] - index[b]).map((to) => index[to]));
    for (let a = 0; a < below.length; a += 1) for (let b = a + 1; b < below.length; b += 1) count += below[a] > below[b] ? 1 : 0;
  }
  return count;
}

/** Sets `x` of each place as near to the mean of its neighbours as the row has room. */
function place(rows, places) {
  const gap = (a, b) => (places[a].width + places[b].width) / 2 + BOX.across;
  for (const row of rows) {
    row.forEach((at, number) => { places[at].x = number === 0 ? 0 : places[row[number - 1]].x + gap(row[number - 1], at); });
  }
  for (let pass = 0; pass < PASSES; pass += 1) {
    const sides = pass === PASSES - 1 ? ["up", "down"] : pass % 2 === 0 ? ["up"] : ["down"];
    for (const row of pass % 2 === 0 ? rows : [...rows].reverse()) {
      const wish = row.map((at) => {
        const near = sides.flatMap((side) => places[at][side]).filter((one) => !places[one].isWord);
        return near.length === 0 ? places[at].x : near.reduce((sum, one) => sum + places[one].x, 0) / near.length;
      });
      const weights = row.map((at) => (places[at].isWord ? LIGHT : 1));
      spread(row, wish, weights, gap).forEach((x, number) => { places[row[number]].x = x; });
    }
  }
}

/** The places nearest to those wished for that keep their distances, by pooling those that would be too near. */
function spread(row, wish, weights, gap) {
  const offset = [0];
  for (let at = 1; at < row.length; at += 1) offset.push(offset[at - 1] + gap(row[at - 1], row[at]));
  const pools = [];
  wish.forEach((x, at) => {
    pools.push({ sum: (x - offset[at]) * weights[at], weight: weights[at], count: 1 });
    while (pools.length > 1) {
      const [before, last] = pools.slice(-2);
      if (before.sum / before.weight <= last.sum / last.weight) break;
      pools.splice(-2, 2, { sum: before.sum + last.sum, weight: before.weight + last.weight, count: before.count + last.count });
    }
  });
  const means = pools.flatMap(({ sum, weight, count }) => new Array(count).fill(sum / weight));
  return means.map((mean, at) => mean + offset[at]);
}
