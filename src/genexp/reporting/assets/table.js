// The table: a setting per row with its interval over seeds, sorted by any column; anchors below, out of the order.

import { field, h, intervalText, isNumber, labelOf, lossOf, numberText } from "./data.js";
import { compare } from "./view.js";

// A lower bound of the likelihood is an upper bound of the bits.
const MARKS = { exact: "= ", "lower bound": "≤ ", estimate: "≈ " };
const FIRST_METRICS = 4; // the rest is in the chooser
const COSTS = [
  ["seconds", "seconds", "mean wall time of a run", numberText],
  ["cpu_seconds", "CPU-s", "mean CPU seconds of a run", numberText],
  ["images_per_second", "images/s", "samples of data seen in a second of training", numberText],
  ["parameters", "parameters", "of all players", numberText],
  ["unfinished", "unfinished", "runs that wait, run or were stopped", numberText],
];

/** A column: its header, the loss that orders it (lower is better), whether its numbers then fall, its cells. */
function columnsOf(view) {
  const name = { key: "setting", head: "setting", order: (x) => x.label, cell: (x) => nameCell(x) };
  const seeds = {
    key: "n",
    head: "n",
    title: "runs with a finite score",
    falls: true,
    order: (x) => -x.n,
    cell: (x) => `${x.n}`,
  };
  const failed = {
    key: "failures",
    head: "failed",
    title: "runs that diverged, failed or were stopped early",
    order: (x) => x.failures.length,
  };
  const metrics = view.scored.map((metric) => ({
    key: metric.name,
    metric,
    head: metric.name,
    aim: metric.aim,
    title: metric.meaning,
    falls: metric.better === "higher",
    order: (x) => lossOf(metric, x.mean[metric.name]),
    cell: (x) => metricCell(x, metric),
  }));
  const costs = COSTS.filter(([key]) =>
    view.table.settings.some((x) => isNumber(x[key]) && (key !== "unfinished" || x[key] > 0)),
  ).map(([key, head, title, text]) => ({
    key,
    head,
    title,
    quiet: true,
    falls: key === "images_per_second",
    cell: (x) => text(x[key]),
    order: (x) => (isNumber(x[key]) ? (key === "images_per_second" ? -x[key] : x[key]) : Infinity),
  }));
  return { name, seeds, failed, metrics, costs };
}

const nameCell = (setting) =>
  h("span", { class: `name ${setting.hue}` }, h("i", { class: "dot", "aria-hidden": "true" }), labelOf(setting.label));

function metricCell(setting, { name }) {
  const value = setting.mean[name];
  if (!isNumber(value))
    return h(
      "span",
      { class: setting.n || !setting.failures.length ? "muted" : "missing" },
      setting.n || !setting.failures.length ? "\u2013" : "failed",
    );
  const mark = MARKS[setting.kinds?.[name] ?? (name === "bpd" ? setting.bpd_kind : null)] ?? "";
  const text = mark + intervalText(value, setting.half_width[name]);
  return setting.best[name] ? h("b", {}, text) : text;
}

export function scoreTable(view) {
  const table = new ScoreTable(view),
    { metrics } = table.columns;
  const filter = h("input", {
    type: "search",
    placeholder: "hinge gp",
    oninput: () => view.change({ words: filter.value.toLowerCase().split(/\s+/).filter(Boolean) }),
  });
  view.follow(() => table.draw());
  return [
    h("div", { class: "controls" }, field("Filter settings", filter), metrics.length > 1 ? chooser(table) : null),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": `Scores on ${view.table.data}` },
      table.element,
    ),
    h("p", { class: "note caption" }, view.table.caption),
  ];
}

/** Which metrics are columns. */
function chooser(table) {
  const box = (column) =>
    h("input", {
      type: "checkbox",
      value: column.key,
      checked: table.chosen.has(column.key),
      onchange: (event) => table.choose(column, event.target.checked),
    });
  const boxes = table.columns.metrics.map((column) => h("label", { title: column.title }, box(column), column.head));
  return h("details", { class: "chooser" }, h("summary", {}, "Columns"), h("div", {}, boxes));
}

class ScoreTable {
  constructor(view) {
    this.view = view;
    this.columns = columnsOf(view);
    this.chosen = new Set(this.columns.metrics.slice(0, FIRST_METRICS).map((column) => column.key));
    this.opened = new Set(); // settings whose failures are shown
    this.sort = { key: null, worst: false };
    [this.head, this.body, this.foot] = ["thead", "tbody", "tfoot"].map((tag) => h(tag));
    this.element = h("table", { class: "scores" }, this.head, this.body, this.foot);
  }

  get shown() {
    const { name, seeds, failed, metrics, costs } = this.columns;
    return [name, seeds, failed, ...metrics.filter((column) => this.chosen.has(column.key)), ...costs];
  }

  choose(column, wanted) {
    wanted ? this.chosen.add(column.key) : this.chosen.delete(column.key);
    this.draw();
  }

  /** Best first, then worst first, then the order of the report; what is missing stays last. */
  sortBy(column) {
    if (this.sort.key !== column.key) this.sort = { key: column.key, worst: false };
    else this.sort = this.sort.worst ? { key: null, worst: false } : { key: column.key, worst: true };
    const rows = [...this.view.table.settings];
    if (this.sort.key) {
      const way = this.sort.worst ? -1 : 1,
        missing = (setting) => column.order(setting) === Infinity;
      rows.sort((a, b) => missing(a) - missing(b) || way * compare(column.order(a), column.order(b)));
    }
    this.view.change({ ordered: rows });
    this.head.querySelector(`[data-key="${CSS.escape(column.key)}"] button`).focus();
  }

  draw() {
    const { shown } = this,
      settings = this.view.shown;
    this.head.replaceChildren(
      h(
        "tr",
        {},
        shown.map((column) => this.header(column)),
      ),
    );
    this.body.replaceChildren(...settings.flatMap((setting) => this.rows(setting, shown)));
    if (!settings.length)
      this.body.append(
        h("tr", {}, h("td", { colspan: shown.length, class: "nothing" }, "No setting fits the filter.")),
      );
    this.foot.replaceChildren(
      ...this.view.table.anchors.map((anchor) =>
        h(
          "tr",
          { class: "anchor" },
          shown.map((column, i) =>
            cell(column, i, i ? (column.metric ? numberText(anchor.values[column.key]) : "") : anchor.name),
          ),
        ),
      ),
    );
  }

  header(column) {
    const sorted = this.sort.key === column.key,
      rising = Boolean(column.falls) === this.sort.worst;
    const title = [column.title, sorted ? (this.sort.worst ? "worst first" : "best first") : "sort"]
      .filter(Boolean)
      .join(" · ");
    const way = h("i", { class: "way", "aria-hidden": "true" }, sorted ? (rising ? "▲" : "▼") : "");
    const aim = column.aim ? h("span", { class: "aim" }, column.aim.replace("-", "\u2212")) : null;
    const button = h(
      "button",
      { type: "button", title, onclick: () => this.sortBy(column) },
      h("span", { class: "what" }, column.head, way),
      aim,
    );
    return h(
      "th",
      {
        scope: "col",
        "data-key": column.key,
        class: column.quiet ? "quiet" : null,
        "aria-sort": sorted ? (rising ? "ascending" : "descending") : "none",
      },
      button,
    );
  }

  rows(setting, shown) {
    const content = (column) => (column === this.columns.failed ? this.failures(setting) : column.cell(setting));
    const row = h(
      "tr",
      { "data-id": setting.id },
      shown.map((column, i) => cell(column, i, content(column))),
    );
    return this.opened.has(setting.id) ? [row, detailRow(setting, shown.length)] : [row];
  }

  failures(setting) {
    if (!setting.failures.length) return h("span", { class: "muted" }, "0");
    const open = this.opened.has(setting.id);
    const toggle = () => {
      open ? this.opened.delete(setting.id) : this.opened.add(setting.id);
      this.draw();
      this.body.querySelector(`[data-id="${CSS.escape(setting.id)}"] .why`).focus();
    };
    return h(
      "button",
      { type: "button", class: "why", "aria-expanded": String(open), onclick: toggle },
      `${setting.failures.length}`,
      h("span", { class: "muted" }, open ? " hide" : " why"),
    );
  }
}

const cell = (column, i, content) =>
  h(
    i ? "td" : "th",
    { scope: i ? null : "row", "data-key": column.key, class: column.quiet ? "quiet" : null },
    content,
  );

function detailRow(setting, width) {
  return h(
    "tr",
    { class: "detail" },
    h(
      "td",
      { colspan: width },
      h(
        "ul",
        {},
        setting.failures.map((failure) =>
          h(
            "li",
            {},
            h("b", {}, `seed ${failure.seed} ${failure.status}`),
            ` ${failure.reason ?? "no reason was recorded"}`,
          ),
        ),
      ),
    ),
  );
}
