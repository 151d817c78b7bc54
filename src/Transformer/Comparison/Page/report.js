"use strict";
// The curves and samples of a report. The runs lie in the page as JSON; the state of the controls is the form, and is kept in the address.

const { live, written, runs } = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const form = byId("controls");
const colours = 8;

const maker = namespace => (name, attributes = {}, ...children) => {
  const made = document.createElementNS(namespace, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children);
  return made;
};
const html = maker("http://www.w3.org/1999/xhtml"), svg = maker("http://www.w3.org/2000/svg");

// Runs of one group, the seeds of a design, share a colour; a run without a group is its own.
const groups = [];
for (const run of runs) {
  let group = run.group !== null && groups.find(known => known.name === run.group);
  if (!group) {
    group = { name: run.group ?? run.name, index: groups.length, runs: [], colour: `var(--c${groups.length % colours})` };
    groups.push(group);
  }
  group.runs.push(run);
  run.colour = group.colour;
}

// ---------------------------------------------------------------- numbers as text

const plain = value => String(+value.toPrecision(6));
const short = value => {
  const size = Math.abs(value);
  if (size > 0 && (size < 1e-3 || size >= 1e18)) return value.toExponential(2).replace(/\.?0+e\+?/, "e");
  const [unit, letter] = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([from]) => size >= from) ?? [1, ""];
  return plain(value / unit) + letter;
};
const percent = value => `${plain(100 * value)} %`;
const whole = value => Math.round(value).toLocaleString("en-US");

// ---------------------------------------------------------------- axes and charts

const noUnit = () => [1, ""];
const timeUnit = most => most >= 7200 ? [3600, "h"] : most >= 180 ? [60, "min"] : [1, "s"];
const coreUnit = most => most >= 7200 ? [3600, "core-hours"] : most >= 180 ? [60, "core-minutes"] : [1, "core-seconds"];
const axes = {
  step: { name: "step", unit: noUnit, of: table => table.step },
  tokens: { name: "tokens", unit: noUnit, of: table => table.tokens },
  seconds: { name: "time", unit: timeUnit, of: table => table.seconds },
  core_seconds: { name: "processor time", unit: coreUnit, of: table => table.core_seconds },
  flops: { name: "FLOPs", unit: noUnit, of: (table, run) => table.tokens.map(n => run.flops_per_token && n * run.flops_per_token) },
};

// A part is a column of a run's table: of every step (smoothed or not) or of the evaluations.
const trained = (column, smooth = true) => ({ table: "training", column, smooth });
const evaluated = column => ({ table: "validation", column, validation: true });
const charts = [
  {
    title: "Loss", unit: "nats per token; lines training, dots validation", parts: [trained("loss"), evaluated("loss")],
    logs: true, large: true,
  },
  { title: "Validation accuracy", unit: "", parts: [evaluated("accuracy")], text: percent },
  { title: "Learning rate", unit: "", parts: [trained("learning_rate", false)], logs: true },
  { title: "Gradient norm", unit: "before clipping", parts: [trained("gradient_norm")], logs: true },
  { title: "Tokens per second", unit: "", parts: [trained("tokens_per_second")], fromZero: true },
  { title: "Utilization", unit: "of the matrix rate", parts: [trained("utilization")], text: percent, fromZero: true },
  {
    title: "Processor time", unit: "core-µs per token", parts: [trained("core_seconds_per_token")],
    text: value => short(1e6 * value), fromZero: true,
  },
];

const isShown = run => run.box.checked;
const axis = () => axes[form.elements.x.value];
const isLog = name => form.elements[name].checked;

// The mean around each point. The weight of another step halves with every half-life between them, before and after.
function smoothed(steps, values, halfLife) {
  if (halfLife === 0) return values;
  const sums = values.map(value => value ?? 0), weights = values.map(value => value === null ? 0 : 1);
  const pass = (from, to, by) => {
    let sum = 0, weight = 0;
    for (let i = from; i !== to; i += by) {
      const kept = i === from ? 0 : 2 ** (-Math.abs(steps[i] - steps[i - by]) / halfLife);
      sum *= kept;
      weight *= kept;
      sums[i] += sum;
      weights[i] += weight;
      if (values[i] !== null) {
        sum += values[i];
        weight += 1;
      }
    }
  };
  pass(0, values.length, 1);
  pass(values.length - 1, -1, -1);
  return sums.map((sum, i) => weights[i] > 0 ? sum / weights[i] : null);
}

// The points of a run's part that have both coordinates; null where there are none.
function curveOf(run, part, isRaw = false) {
  const table = run[part.table], column = table[part.column];
  const halfLife = isRaw || !part.smooth ? 0 : form.elements.smooth.value / 100 * table.step.at(-1);
  const at = axis().of(table, run), values = smoothed(table.step, column, halfLife);
  const points = [];
  values.forEach((y, i) => {
    if (y !== null && at[i] !== null && !(isLog("logx") && at[i] <= 0)) points.push([at[i], y]);
  });
  return points.length > 0 ? points : null;
}

const indexAt = (points, x) => {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle + 1; else high = middle;
  }
  return low;
};

function valueAt(points, x) {
  const i = indexAt(points, x), [x1, y1] = points[i], [x0, y0] = points[Math.max(0, i - 1)];
  return x1 === x0 || x >= x1 ? y1 : y0 + (y1 - y0) * (x - x0) / (x1 - x0);
}

// The mean of several curves where all of them are known, at the places of the first.
function meanOf(curves) {
  const from = Math.max(...curves.map(curve => curve[0][0])), to = Math.min(...curves.map(curve => curve.at(-1)[0]));
  return curves[0].filter(([x]) => x >= from && x <= to)
    .map(([x]) => [x, curves.reduce((sum, curve) => sum + valueAt(curve, x), 0) / curves.length]);
}

// All that a chart draws, faint things first.
function linesOf(chart) {
  const lines = [];
  for (const part of chart.parts) {
    for (const group of groups) {
      const shown = group.runs.filter(isShown);
      const curves = shown.map(run => curveOf(run, part)).filter(curve => curve);
      const isSeeds = curves.length > 1;
      const add = (points, style) => points?.length && lines.push({ points, style, group, part });
      if (part.smooth && !isSeeds) for (const run of shown) add(curveOf(run, part, true), "raw");
      for (const curve of curves) add(curve, isSeeds ? "seed" : "");
      if (isSeeds) add(meanOf(curves), "mean");
    }
  }
  const order = ["raw", "seed", "", "mean"];
  return lines.sort((a, b) => order.indexOf(a.style) - order.indexOf(b.style));
}

function ticksOf(from, to, log, most) {
  if (log) {
    const all = [];
    for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++)
      for (const digit of [1, 2, 5]) all.push(digit * 10 ** power);
    const inside = all.filter(value => value >= from && value <= to), decades = inside.filter(value => /^1/.test(value.toExponential()));
    if (inside.length > 1) return inside.length <= most ? inside : decades.filter((_, i) => i % Math.ceil(decades.length / most) === 0);
  }
  const rough = (to - from) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) ticks.push(i * step);
  return ticks;
}

const scaleOf = (from, to, start, end, log) => {
  const f = log ? Math.log10 : value => value, [a, b] = [f(from), f(to)];
  const scale = value => start + (f(value) - a) / (b - a) * (end - start);
  scale.invert = place => (log ? value => 10 ** value : value => value)(a + (place - start) / (end - start) * (b - a));
  return scale;
};

const leastOf = values => values.reduce((least, value) => Math.min(least, value));
const mostOf = values => values.reduce((most, value) => Math.max(most, value));

// The range of the horizontal axis, the same in all charts.
function rangeX() {
  const xs = runs.filter(isShown).flatMap(run => curveOf(run, trained("learning_rate", false)) ?? []).map(([x]) => x);
  if (xs.length === 0) return [1, 2];
  const [from, to] = [leastOf(xs), mostOf(xs)];
  return isLog("logx") ? [from, to > from ? to : from * 2] : [0, to];
}

// ---------------------------------------------------------------- drawing

for (const chart of charts) {
  chart.picture = svg("svg", { role: "img", "aria-label": `${chart.title}; the table of values has its numbers` });
  chart.figure = html("figure", {}, html("figcaption", {}, chart.title, html("span", {}, chart.unit)), chart.picture);
  for (const kind of ["pointerdown", "pointermove"]) chart.picture.addEventListener(kind, event => {
    const [left, right] = chart.sides, place = event.clientX - chart.picture.getBoundingClientRect().left;
    form.elements.at.value = 1000 * Math.min(1, Math.max(0, (place - left) / (right - left)));
    drawCursor();
    keep();
  });
  byId(chart.large ? "chart" : "charts").append(chart.figure);
}

// What is measured once and faint may leave the picture.
function rangeY(lines, log, fromZero) {
  const ys = lines.filter(line => line.style !== "raw").flatMap(line => line.points.map(([, y]) => y)).filter(y => !log || y > 0);
  if (ys.length === 0) return [1, 2];
  let [from, to] = [fromZero ? 0 : leastOf(ys), mostOf(ys)];
  if (!(to > from)) [from, to] = from === 0 ? [0, 1] : [from - Math.abs(from) / 2, to + Math.abs(to) / 2];
  const room = 0.04 * (log ? Math.log(to / from) : to - from);
  if (log) return [from / Math.exp(room), to * Math.exp(room)];
  return [from < room ? Math.min(from, 0) : from - room, to + room];
}

function drawChart(chart, [fromX, toX]) {
  const lines = linesOf(chart);
  chart.figure.hidden = lines.length === 0 && !chart.large;
  const width = chart.figure.clientWidth;
  if (width === 0) return;
  const height = chart.large ? Math.max(260, Math.min(420, width * 0.42)) : 190;
  const labels = chart.large && width >= 620 ? labelsOf(lines) : [];
  const right = width - (labels.length > 0 ? 12 + 7.4 * mostOf(labels.map(label => label.text.length)) : 10);
  const [left, top, bottom] = [46, 8, height - (chart.large ? 44 : 26)];
  const log = chart.logs && isLog("logy");
  const [fromY, toY] = rangeY(lines, log, chart.fromZero);
  const x = scaleOf(fromX, toX, left, right, isLog("logx")), y = scaleOf(fromY, toY, bottom, top, log);
  [chart.x, chart.y, chart.sides, chart.ends, chart.lines] = [x, y, [left, right], [top, bottom], lines];

  const [unit, unitName] = axis().unit(toX), clip = `clip-${charts.indexOf(chart)}`;
  const parts = [svg("clipPath", { id: clip }, svg("rect", { x: left, y: top, width: Math.max(0, right - left), height: bottom - top }))];
  for (const tick of ticksOf(fromY, toY, log, chart.large ? 7 : 4)) parts.push(
    svg("line", { class: "grid", x1: left, x2: right, y1: y(tick), y2: y(tick) }),
    svg("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, (chart.text ?? short)(tick)));
  parts.push(svg("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }));
  for (const tick of ticksOf(fromX / unit, toX / unit, isLog("logx"), Math.max(3, Math.min(8, width / 110))))
    parts.push(svg("text", { x: x(tick * unit), y: bottom + 18, "text-anchor": "middle" }, short(tick)));
  if (chart.large) parts.push(
    svg("text", { x: right, y: bottom + 38, "text-anchor": "end" }, axis().name + (unitName && `, ${unitName}`)));
  if (lines.length === 0) parts.push(svg("text", { x: (left + right) / 2, y: height / 2, "text-anchor": "middle" }, "nothing to show yet"));
  const curves = svg("g", { "clip-path": `url(#${clip})` }), dots = svg("g");
  for (const line of lines) {
    const points = line.points.filter(([, value]) => !log || value > 0);
    const classes = ["curve", line.style, line.part.validation && chart.large && "dotted", line.group.index >= colours && "again"];
    curves.append(svg("path", {
      class: classes.filter(name => name).join(" "), style: `color: ${line.group.colour}`,
      d: points.map(([px, py], i) => `${i === 0 ? "M" : "L"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join(""),
    }));
    if (line.part.validation) for (const [px, py] of points) dots.append(svg("circle", {
      class: line.style === "seed" ? "dot faint" : "dot", style: `color: ${line.group.colour}`, cx: x(px).toFixed(1), cy: y(py).toFixed(1),
      r: points.length > 60 ? 1.5 : width > 600 ? 3 : 2.25,
    }));
  }
  chart.cursor = svg("g");
  chart.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  chart.picture.replaceChildren(...parts, curves, dots, ...drawLabels(labels, y, right), chart.cursor);
}

const isMain = line => line.style === "" || line.style === "mean";

// The names beside the ends of the lines, where they are few enough to have room.
function labelsOf(lines) {
  const last = new Map();
  for (const line of lines) if (isMain(line)) last.set(line.group, line.points.at(-1)[1]);
  return last.size > 10 ? [] : [...last].map(([group, value]) => ({
    value, colour: group.colour, text: group.name.length > 24 ? `${group.name.slice(0, 23)}…` : group.name,
  }));
}

function drawLabels(labels, y, right) {
  const gap = 17, sorted = labels.map(label => ({ ...label, y: y(label.value) })).sort((a, b) => a.y - b.y);
  for (let i = 1; i < sorted.length; i++) sorted[i].y = Math.max(sorted[i].y, sorted[i - 1].y + gap);
  const over = sorted.length > 0 ? (sorted.at(-1).y - y(sorted.at(-1).value)) / 2 : 0;
  return sorted.map(label => svg(
    "text", { class: "label", style: `color: ${label.colour}`, x: right + 10, y: label.y - over + 4 }, label.text));
}

// The line in all charts, and the table of the values there.
function drawCursor() {
  const share = form.elements.at.value / 1000, { x: scale, sides: [left, right] } = charts[0];
  const x = scale.invert(left + share * (right - left));
  for (const chart of charts) {
    if (!chart.x || chart.figure.hidden) continue;
    const place = chart.x(x), [top, bottom] = chart.ends;
    const dots = chart.lines.filter(line => isMain(line) && !line.part.validation && covers(line.points, x))
      .map(line => [line, chart.y(valueAt(line.points, x))]).filter(([, height]) => Number.isFinite(height))
      .map(([line, height]) => svg("circle", { class: "dot", style: `color: ${line.group.colour}`, cx: place, cy: height, r: 4 }));
    const line = svg("line", { class: "cursor-line", x1: place, x2: place, y1: top, y2: bottom });
    chart.cursor.replaceChildren(...share < 1 ? [line] : [], ...dots);
  }
  const [unit, unitName] = axis().unit(scale.invert(right));
  const isCount = axis() === axes.step || axis() === axes.tokens;
  byId("at-text").value = isCount ? `${axis().name} ${whole(x)}` : `${axis().name} ${short(+(x / unit).toPrecision(4))} ${unitName}`.trim();
  drawValues(x);
}

const covers = (points, x) => x >= points[0][0] * 0.999 && x <= points.at(-1)[0] * 1.001;

const swatch = run => html("i", { class: "swatch", style: `color: ${run.colour}` });

const nearest = (points, x) => {
  const i = indexAt(points, x);
  return i > 0 && x - points[i - 1][0] < points[i][0] - x ? i - 1 : i;
};

// Of each run the nearest step, and the last evaluation before it.
function drawValues(x) {
  const digits = count => value => value.toFixed(count), share = count => value => `${(100 * value).toFixed(count)} %`;
  const columns = [
    ["step", trained("step", false), whole],
    ["training loss", trained("loss"), digits(4)],
    ["validation loss", evaluated("loss"), digits(4)],
    ["accuracy", evaluated("accuracy"), share(1)],
    ["learning rate", trained("learning_rate", false), value => value.toPrecision(3)],
    ["gradient norm", trained("gradient_norm"), value => value.toPrecision(3)],
    ["tokens per second", trained("tokens_per_second"), whole],
    ["utilization", trained("utilization"), share(0)],
  ];
  const cell = (run, part, text) => {
    const points = curveOf(run, part);
    if (!points || (!part.validation && !covers(points, x))) return "–";
    const i = part.validation ? points.findLastIndex(point => point[0] <= x * (1 + 1e-9)) : nearest(points, x);
    return i < 0 ? "–" : text(points[i][1]);
  };
  byId("values").replaceChildren(
    html("thead", {}, html("tr", {},
      html("th", { scope: "col" }, "run"), ...columns.map(([name]) => html("th", { scope: "col", class: "number" }, name)))),
    html("tbody", {}, ...runs.filter(isShown).map(run => html("tr", {},
      html("th", { scope: "row" }, swatch(run), run.name),
      ...columns.map(([, part, text]) => html("td", { class: "number" }, cell(run, part, text)))))));
}

// What each run had written by then.
const sampleSteps = [...new Set(runs.flatMap(run => run.samples.map(sample => sample.step)))].sort((a, b) => a - b);

function drawSamples() {
  byId("samples").hidden = sampleSteps.length === 0;
  if (sampleSteps.length === 0) return;
  const step = sampleSteps[form.elements.sample.value];
  byId("sample-text").value = `step ${whole(step)}`;
  byId("texts").replaceChildren(...runs.filter(isShown).flatMap(run => {
    const sample = run.samples.findLast(written => written.step <= step);
    return sample ? [html("figure", {},
      html("figcaption", {}, swatch(run), run.name, html("span", {}, `step ${whole(sample.step)}`)),
      html("pre", {}, sample.text))] : [];
  }));
}

function draw() {
  const smooth = +form.elements.smooth.value;
  byId("smooth-text").value = smooth === 0 ? "none" : `half-life ${smooth} % of the run`;
  const unknown = runs.filter(run => isShown(run) && run.training.step.length > 0 && !curveOf(run, trained("learning_rate", false)));
  byId("note").textContent = unknown.length > 0 ? `${axis().name}: not known for ${unknown.map(run => run.name).join(", ")}.` : "";
  for (const group of groups) if (group.box) {
    const shown = group.runs.filter(isShown).length;
    [group.box.checked, group.box.indeterminate] = [shown > 0, shown > 0 && shown < group.runs.length];
  }
  const range = rangeX();
  for (const chart of charts) drawChart(chart, range);
  drawCursor();
  drawSamples();
}

// ---------------------------------------------------------------- controls and their state

const box = (attributes, colour, name) => {
  const input = html("input", { type: "checkbox", checked: "", style: `accent-color: ${colour}`, ...attributes });
  return [input, html("label", {}, input, name)];
};
for (const group of groups) {
  const row = group.runs.length > 1 ? html("span", { class: "group" }) : byId("legend");
  if (group.runs.length > 1) {
    const [input, label] = box({}, group.colour, group.name);
    group.box = input;
    input.addEventListener("input", () => group.runs.forEach(run => { run.box.checked = input.checked; }));
    row.append(label);
    byId("legend").append(row);
  }
  for (const run of group.runs) {
    const [input, label] = box({ name: "show", value: runs.indexOf(run) }, group.colour, run.name);
    run.box = input;
    row.append(label);
  }
}
form.elements.sample.max = Math.max(0, sampleSteps.length - 1);
form.elements.sample.value = form.elements.sample.max;

// The last value and the last sample are where they are while a run goes on, so that they are not kept.
let pending = 0;
function keep() {
  clearTimeout(pending);
  pending = setTimeout(() => {
    const state = new URLSearchParams(new FormData(form));
    for (const name of ["at", "sample"]) if (form.elements[name].value === form.elements[name].max) state.delete(name);
    history.replaceState({ focus: document.activeElement?.id }, "", `#${state}`);
  }, 150);
}
function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  if (!state.has("x")) return;
  for (const input of form.elements) {
    if (input.type === "radio" || input.name === "show") input.checked = state.getAll(input.name).includes(input.value);
    else if (input.type === "checkbox") input.checked = state.has(input.name);
    else if (state.has(input.name)) input.value = state.get(input.name);
  }
}
form.addEventListener("submit", event => event.preventDefault());
document.addEventListener("input", event => {
  if (event.target === form.elements.at) drawCursor();
  else if (event.target === form.elements.sample) drawSamples();
  else draw();
  keep();
});
addEventListener("hashchange", () => { restore(); draw(); });
new ResizeObserver(draw).observe(byId("chart"));

// ---------------------------------------------------------------- a run that still trains

byId("live").hidden = !live;
if (live) {
  byId("written").textContent = `as of ${new Date(written).toTimeString().slice(0, 8)}`;
  let isPressed = false;
  addEventListener("pointerdown", () => { isPressed = true; });
  for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => { isPressed = false; });
  setInterval(() => { if (form.elements.follow.checked && !isPressed && !document.hidden) location.reload(); }, 5000);
}
restore();
draw();
if (history.state?.focus) byId(history.state.focus)?.focus({ preventScroll: true });
