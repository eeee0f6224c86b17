// Curves of training: the mean over seeds with the band from the least to the greatest, against the step.

import { anchorLines, area, drawn, extent, frame, line, nothing, titled } from "./chart.js";
import { choice, field, h, isNumber, labelOf, mean, numberText, report, s } from "./data.js";

export function curvePlot(view) {
  const keys = keysOf(view),
    fast = `fast/${view.headline.name}`;
  if (!keys.length) return [nothing("No curves were recorded.")];
  const shown = { key: keys.includes(fast) ? fast : keys[0], log: false };
  const legend = h("div", { class: "legend", role: "group", "aria-label": "Settings that are drawn" });
  const readout = h("p", { class: "readout" });
  const plot = drawn((width) => curves(view, shown, width, readout));
  const redraw = () => {
    legend.replaceChildren(...entries(view, shown.key, legend));
    plot.redraw();
  };
  const change = (changes) => {
    Object.assign(shown, changes);
    redraw();
  };
  view.follow(redraw);
  const log = h("input", { type: "checkbox", onchange: () => change({ log: log.checked }) });
  const pick = choice(
    keys.map((key) => [key, key]),
    (key) => change({ key }),
    shown.key,
  );
  return [
    h(
      "div",
      { class: "controls" },
      field("Curve", pick),
      h("label", { class: "check" }, log, "log axis"),
      view.table.settings.length > 2 ? choosers(view) : null,
    ),
    plot.box,
    readout,
    legend,
    h(
      "p",
      { class: "note" },
      "Line: mean over the seeds that completed; band: least to greatest. " +
        "A run that did not complete is a thin line of its own and ends with ×.",
    ),
  ];
}

const recorded = (setting, key) => setting.runs.some((id) => report.runs[id]?.curves?.[key]?.some(isNumber));

function keysOf({ table }) {
  const runs = table.settings.flatMap((x) => x.runs.map((id) => report.runs[id]));
  const keys = new Set(runs.flatMap((run) => Object.keys(run?.curves ?? {})));
  keys.delete("step");
  return [...keys].filter((key) => table.settings.some((x) => recorded(x, key)));
}

/** Buttons that draw all curves, none, or the best. */
function choosers(view) {
  const { settings } = view.table;
  const show = (wanted) =>
    view.change({ hidden: new Set(settings.filter((x) => !wanted.includes(x)).map((x) => x.id)) });
  const groups = [
    ["All", settings],
    ["None", []],
    [`Best ${view.best.length}`, view.best],
  ];
  return h(
    "span",
    { class: "buttons" },
    groups.map(([text, wanted]) => h("button", { type: "button", onclick: () => show(wanted) }, text)),
  );
}

/** What the legend holds: a button for each setting that has the curve. */
function entries(view, key, legend) {
  const flip = ({ id }) => {
    const hidden = new Set(view.hidden);
    hidden.delete(id) || hidden.add(id);
    view.change({ hidden });
    legend.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus();
  };
  const sample = ({ dash }) =>
    s(
      "svg",
      { width: 26, height: 8, "aria-hidden": "true" },
      s("line", { class: "curve", x1: 1, x2: 25, y1: 4, y2: 4, "stroke-dasharray": dash }),
    );
  return view.shown
    .filter((x) => recorded(x, key))
    .map((setting) =>
      h(
        "button",
        {
          type: "button",
          class: `${setting.hue} entry`,
          "data-id": setting.id,
          "aria-pressed": String(!view.hidden.has(setting.id)),
          onclick: () => flip(setting),
        },
        sample(setting),
        labelOf(setting.label),
      ),
    );
}

function curves(view, { key, log }, width, readout) {
  const lines = view.shown
    .filter((x) => !view.hidden.has(x.id))
    .map((setting) => ({ setting, ...summary(setting, key) }));
  const ended = lines.flatMap((x) => x.ended.flat());
  const edges = lines.flatMap((x) => [...x.low, ...x.high]);
  const up = extent(edges.length ? edges : ended.map(([, value]) => value), log);
  const across = extent([...lines.flatMap((x) => x.steps), ...ended.map(([step]) => step)]);
  if (!up || !across) return nothing(lines.length ? "Nothing to show on this axis." : "Choose a setting below.");
  const chart = frame({
    width,
    height: width < 500 ? 280 : 360,
    x: { domain: [0, across[1]], label: "step" },
    y: { domain: up, log, label: key },
    describes: `${key} against steps`,
  });
  const name = view.headline.name;
  if (key === `fast/${name}`) {
    const anchors = view.table.anchors.map((anchor) => ({ name: anchor.name, value: anchor.values[name] }));
    anchorLines(
      chart,
      anchors.filter((anchor) => anchor.name === "perfect" && isNumber(anchor.value)),
      "y",
    );
  }
  lines.forEach((x) => drawLine(chart, x));
  readWith(chart, lines, readout);
  return chart.root;
}

/** A line under the pointer reads the means at one step. */
function readWith(chart, lines, readout) {
  const cursor = s("line", { class: "cursor", y1: chart.top, y2: chart.bottom, visibility: "hidden" });
  const ground = s("rect", {
    class: "ground",
    x: chart.left,
    y: chart.top,
    width: chart.right - chart.left,
    height: chart.bottom - chart.top,
  });
  const grid = lines.reduce((most, x) => (x.steps.length > most.length ? x.steps : most), []);
  chart.root.insertBefore(ground, chart.plot);
  chart.plot.append(cursor);
  const read = (event) => {
    const at = event.clientX - chart.root.getBoundingClientRect().left;
    const away = (step) => Math.abs(chart.x(step) - at);
    const step = grid.reduce((near, x) => (away(x) < away(near) ? x : near), grid[0]);
    if (step === undefined) return;
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, chart.x(step));
    cursor.setAttribute("visibility", "visible");
    const values = lines.map((x) => [x.setting, x.mean[x.steps.indexOf(step)]]).filter(([, value]) => isNumber(value));
    readout.replaceChildren(
      `step ${numberText(step)}`,
      ...values.map(([{ hue }, value]) =>
        h("span", { class: hue }, h("i", { class: "dot", "aria-hidden": "true" }), numberText(value)),
      ),
    );
  };
  chart.root.addEventListener("pointermove", read);
  chart.root.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
}

/** The mean and the edges over the seeds on the steps of the longest run; runs that failed stand alone. */
function summary(setting, key) {
  const whole = [],
    ended = [];
  for (const id of setting.runs) {
    const run = report.runs[id],
      values = run?.curves?.[key];
    const points = (values ?? []).map((value, i) => [run.curves.step[i], value]).filter(([, value]) => isNumber(value));
    if (!points.length) continue;
    (run.status === "complete" ? whole : ended).push(points);
  }
  const steps = whole.reduce((most, points) => (points.length > most.length ? points : most), []).map(([step]) => step);
  const across = steps.map((step) => whole.map((points) => valueAt(points, step)).filter(isNumber));
  return {
    steps,
    ended,
    mean: across.map(mean),
    low: across.map((v) => Math.min(...v)),
    high: across.map((v) => Math.max(...v)),
  };
}

/** Runs that were recorded at other steps are read between their points. */
function valueAt(points, step) {
  const after = points.findIndex(([x]) => x >= step);
  if (after < 0) return null;
  const [x1, y1] = points[after];
  if (x1 === step) return y1;
  if (after === 0) return null;
  const [x0, y0] = points[after - 1];
  return y0 + ((y1 - y0) * (step - x0)) / (x1 - x0);
}

function drawLine(chart, { setting, steps, ended, mean: average, low, high }) {
  const along = (values) => values.map((value, i) => [chart.x(steps[i]), chart.y(value)]);
  const group = s("g", { class: setting.hue, "data-id": setting.id });
  group.append(s("path", { class: "band", d: area(along(low), along(high)) }));
  group.append(
    titled(s("path", { class: "curve", d: line(along(average)), "stroke-dasharray": setting.dash }), setting.label),
  );
  for (const points of ended) {
    const [step, value] = points[points.length - 1],
      [x, y] = [chart.x(step), chart.y(value)];
    group.append(s("path", { class: "ended", d: line(points.map(([a, b]) => [chart.x(a), chart.y(b)])) }));
    group.append(
      titled(
        s("path", { class: "cross", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` }),
        `${setting.label}: ended near step ${step}`,
      ),
    );
  }
  chart.plot.append(group);
}
