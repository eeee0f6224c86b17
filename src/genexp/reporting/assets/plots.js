// The plots over all settings: every seed with its interval, and the expected best of k runs.

import { anchorLines, drawn, extent, frame, line, nothing, titled } from "./chart.js";
import { choice, durationText, field, h, intervalText, isNumber, labelOf, numberText, plural, s } from "./data.js";

const ROW = 30;
const CROWD = 30; // more points than this are drawn small
const NARROW = 620; // below, a row's name stands above its dots
const FAR = 1.5; // an anchor farther than so many spans of the data away would press them together: it is named below

const anchorsOf = (view, name) =>
  view.table.anchors
    .map((anchor) => ({ name: anchor.name, value: anchor.values[name] }))
    .filter(({ value }) => isNumber(value));

/** Those within sight of a section of an axis. */
const nearby = (anchors, [low, high], log) =>
  anchors.filter(({ value }) =>
    log ? value > 0 : value > low - FAR * (high - low) && value < high + FAR * (high - low),
  );

/** A dot per seed, the mean and its interval: one metric, a row per setting in the table's order. */
export function forestPlot(view) {
  const withData = view.scored;
  if (!withData.length) return [nothing("No run has a score yet.")];
  let metric = withData.includes(view.headline) ? view.headline : withData[0];
  const [log, all] = [0, 1].map(() => h("input", { type: "checkbox", onchange: () => plot.redraw() }));
  const note = h("p", { class: "note" });
  const plot = drawn((width) => {
    const rows = view.shown.filter((x) => x.failures.length || x.values[metric.name].some(isNumber)),
      name = metric.name,
      narrow = width < NARROW;
    const numbers = rows.flatMap((x) => [
      ...x.values[name],
      ...(isNumber(x.half_width[name]) && !log.checked
        ? [x.mean[name] - x.half_width[name], x.mean[name] + x.half_width[name]]
        : []),
    ]);
    const core = extent(numbers, log.checked);
    if (!core) return nothing(log.checked ? "Nothing above 0 to show on a logarithmic axis." : "No finite value here.");
    const anchors = anchorsOf(view, name);
    const near = all.checked && !log.checked ? anchors : nearby(anchors, core, log.checked);
    const far = anchors.filter((a) => !near.includes(a)).map((a) => `${a.name} ${numberText(a.value)}`);
    note.textContent = `${metric.meaning}.${far.length ? ` Beyond the plot: ${far.join(", ")}.` : ""}`;
    const failed = rows.some((x) => x.failures.length) && !narrow;
    const tall = narrow ? ROW + 16 : ROW;
    const chart = frame({
      width,
      height: rows.length * tall + 26 + 42,
      x: {
        domain: extent([...numbers, ...near.map((a) => a.value)], log.checked),
        log: log.checked,
        label: `${name} ${metric.aim}`,
      },
      y: {},
      margin: {
        top: 26,
        left: narrow ? 8 : Math.min(360, 30 + 7 * Math.max(...rows.map((x) => x.label.length))),
        right: failed ? 84 : 22,
      },
      describes: `${name} of every run, with the mean and the 95 % interval of each setting`,
    });
    anchorLines(chart, near, "x");
    anchorNames(chart, near, width);
    rows.forEach((setting, i) => row(chart, setting, name, chart.top + i * tall, narrow));
    return chart.root;
  });
  view.follow(plot.redraw);
  const pick = choice(
    withData.map((m) => [m.name, m.name]),
    (name) => {
      metric = view.metrics.get(name);
      plot.redraw();
    },
    metric.name,
  );
  return [
    h(
      "div",
      { class: "controls" },
      field("Metric", pick),
      h("label", { class: "check" }, log, "log axis"),
      view.table.anchors.length ? h("label", { class: "check" }, all, "all anchors") : null,
    ),
    plot.box,
    note,
  ];
}

function row(chart, setting, name, top, narrow) {
  const middle = top + (narrow ? 30 : ROW / 2),
    average = setting.mean[name],
    half = setting.half_width[name];
  const group = s("g", { class: setting.hue, "data-id": setting.id });
  chart.root.append(
    narrow
      ? s("text", { class: "rowname", x: chart.left, y: top + 14 }, setting.label)
      : s("text", { class: "rowname", x: chart.left - 14, y: middle + 4, "text-anchor": "end" }, setting.label),
  );
  if (isNumber(average)) {
    if (isNumber(half))
      group.append(
        s("line", { class: "bar", x1: chart.x(average - half), x2: chart.x(average + half), y1: middle, y2: middle }),
      );
    group.append(
      titled(
        s("rect", { class: "mean", x: chart.x(average) - 2, y: middle - 9, width: 4, height: 18, rx: 1.5 }),
        `${setting.label}: ${intervalText(average, half)}`,
      ),
    );
  }
  setting.values[name].forEach(
    (value, i) =>
      isNumber(value) &&
      group.append(
        titled(
          s("circle", { class: "seed", cx: chart.x(value), cy: middle, r: 4 }),
          `seed ${setting.seeds[i]}: ${numberText(value)}`,
        ),
      ),
  );
  if (setting.failures.length) {
    chart.root.append(
      s(
        "text",
        {
          class: "failed",
          x: narrow ? chart.right + 14 : chart.right + 78,
          y: middle + (narrow ? -16 : 4),
          "text-anchor": "end",
        },
        `${setting.failures.length} failed`,
      ),
    );
  }
  chart.plot.append(group);
}

/** The names above the lines, each clear of the last. */
function anchorNames(chart, near, width) {
  const places = near.map((a) => ({ text: a.name, at: chart.x(a.value) })).sort((a, b) => a.at - b.at);
  let end = -Infinity;
  for (const { text, at } of places) {
    const half = text.length * 3.1,
      low = Math.max(Math.min(at - half, width - 2 * half), end + 8, 0);
    if (low + 2 * half > width) continue;
    chart.root.append(s("text", { class: "anchorname", x: low, y: 16 }, text));
    end = low + 2 * half;
  }
}

/** What the best of k random runs is expected to score, against k and against its cost. */
export function budgetPlots(view) {
  const budget = view.table.budget,
    metric = view.metrics.get(budget?.metric) ?? view.headline;
  const points = (budget?.points ?? []).filter((point) => isNumber(point.expected));
  if (points.length < 2) return [nothing("Two finite runs or more are needed.")];
  const perfect = anchorsOf(view, metric.name).filter((a) => a.name === "perfect");
  const anchors = nearby(perfect, extent(points.map((p) => p.expected)));
  const draw = (of, label, text) =>
    drawn((width) => {
      const chart = frame({
        width,
        height: 240,
        x: { domain: extent(points.map(of)), label },
        y: {
          domain: extent([...points.map((p) => p.expected), ...anchors.map((a) => a.value)]),
          label: `expected best ${metric.name}`,
        },
        describes: `expected best ${metric.name} of k runs against ${label}`,
      });
      anchorLines(chart, anchors, "y");
      chart.plot.append(
        s("path", { class: "curve lone", d: line(points.map((p) => [chart.x(of(p)), chart.y(p.expected)])) }),
      );
      for (const p of points)
        chart.plot.append(
          titled(
            s("circle", {
              class: "spot",
              cx: chart.x(of(p)),
              cy: chart.y(p.expected),
              r: points.length > CROWD ? 2 : 3.5,
            }),
            `best of ${p.k} (${text(p)}): ${numberText(p.expected)}`,
          ),
        );
      return chart.root;
    }).box;
  const last = points[points.length - 1];
  return [
    h(
      "div",
      { class: "pair" },
      draw(
        (p) => p.k,
        "runs tried, k",
        (p) => plural(p.k, "run"),
      ),
      !points.every((p) => isNumber(p.cpu_seconds))
        ? null
        : draw(
            (p) => p.cpu_seconds,
            "CPU-seconds",
            (p) => durationText(p.cpu_seconds),
          ),
    ),
    h(
      "p",
      { class: "note" },
      `One run is expected to read ${numberText(points[0].expected)}, the best of ${last.k} to read ` +
        `${numberText(last.expected)}: ` +
        "a best of many is partly luck, so a table shows means. Every run counts as one random trial" +
        (budget.failures ? "; one that failed costs its time and counts as the worst number." : ".") +
        (perfect.length ? ` The perfect anchor reads ${numberText(perfect[0].value)}.` : ""),
    ),
  ];
}

/** Scores on one scale over several data sets: 0 is the perfect anchor, 1 a single Gaussian. */
export function normalisedTable(rows) {
  const sets = [...new Set(rows.flatMap((x) => Object.keys(x.by_data)))];
  const sorted = [...rows].sort((a, b) => (a.iqm ?? Infinity) - (b.iqm ?? Infinity));
  return [
    h(
      "p",
      { class: "lead" },
      "The headline of each data set on one scale: 0 is a perfect generator, 1 a single Gaussian; lower is better. " +
        "The interquartile mean leaves out the best and the worst quarter of the runs.",
    ),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Normalised scores" },
      h(
        "table",
        { class: "scores" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["setting", "interquartile mean", "n", ...sets].map((text) =>
              h("th", { scope: "col" }, h("span", {}, text)),
            ),
          ),
        ),
        h(
          "tbody",
          {},
          sorted.map((x) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, labelOf(x.label)),
              h("td", {}, numberText(x.iqm)),
              h("td", {}, numberText(x.n)),
              sets.map((set) => h("td", {}, numberText(x.by_data[set]))),
            ),
          ),
        ),
      ),
    ),
  ];
}
