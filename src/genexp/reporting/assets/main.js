// The page: its head, a tab per data set, and the sections of each.

import { durationText, h, isNumber, report } from "./data.js";
import { View } from "./view.js";
import { scoreTable } from "./table.js";
import { budgetPlots, forestPlot, normalisedTable } from "./plots.js";
import { curvePlot } from "./curves.js";
import { comparison } from "./compare.js";
import { neighbourStrips, sampleGrids } from "./grids.js";
import { runDetails, runDiff } from "./runs.js";

const SECTIONS = [
  [
    "scores",
    "Scores",
    "Mean over training seeds ± half-width of its 95 % interval. Bold: not separable from the best of the column. " +
      "Anchors, in grey below, are generators of known quality.",
    scoreTable,
  ],
  ["seeds", "Every seed", "A dot per run, a bar for the mean, a line for its 95 % interval.", forestPlot],
  ["training", "Training", null, curvePlot],
  ["samples", "Samples", "One run of each setting; the slider moves all sheets to the same step.", sampleGrids],
  ["neighbours", "Nearest training images", null, neighbourStrips],
  ["pairs", "Two settings", "Compared on the seeds that both have: what the seeds share cancels.", comparison],
  [
    "search",
    "Best of k",
    "What the best of k runs, drawn at random from all that ended, is expected to score.",
    budgetPlots,
  ],
  ["runs", "Runs", null, runDetails],
  ["diff", "What two runs differ in", null, runDiff],
];

function section(prefix, [id, title, lead], content) {
  return h(
    "section",
    { id: `${prefix}-${id}`, "data-section": id, "aria-labelledby": `${prefix}-${id}-title` },
    h("h2", { id: `${prefix}-${id}-title` }, title),
    lead ? h("p", { class: "lead" }, lead) : null,
    content,
  );
}

function panel(table, index) {
  const view = new View(table),
    prefix = `d${index}`;
  const made = SECTIONS.map((parts) => [parts, parts[3](view)]).filter(([, content]) => content);
  const links = h(
    "nav",
    { class: "links", "aria-label": `Sections of ${table.data}` },
    made.map(([[id, title]]) => h("a", { href: `#${prefix}-${id}` }, title)),
  );
  return h(
    "div",
    { class: "panel", id: prefix },
    links,
    made.map(([parts, content]) => section(prefix, parts, content)),
    fingerprint(table),
  );
}

function fingerprint(table) {
  return h(
    "details",
    { class: "fingerprint" },
    h("summary", {}, "How these numbers were measured"),
    h(
      "dl",
      { class: "facts" },
      Object.entries(table.fingerprint ?? {}).map(([key, value]) =>
        h("div", {}, h("dt", {}, key), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))),
      ),
    ),
  );
}

/** What the page holds, in numbers; what went wrong stands beside what went well. */
function facts() {
  const settings = report.tables.flatMap((table) => table.settings),
    sum = (of) => settings.reduce((total, x) => total + of(x), 0);
  const cpu = sum((x) => (isNumber(x.cpu_seconds) ? x.cpu_seconds * x.runs.length : 0));
  const seeds = settings.map((x) => x.seeds.length + x.unfinished),
    most = Math.max(0, ...seeds),
    least = Math.min(...seeds);
  const failed = sum((x) => x.failures.length),
    unfinished = sum((x) => x.unfinished);
  const tiles = [
    ["settings", settings.length, null],
    ["seeds each", least === most ? most : `${least}–${most}`, null],
    ["runs", Object.keys(report.runs).length, null],
    ["failed", failed, failed ? "bad" : null],
    ["unfinished", unfinished, unfinished ? "warn" : null],
    ["CPU time", cpu ? durationText(cpu) : "–", null],
  ];
  return h(
    "dl",
    { class: "tiles" },
    tiles.map(([term, value, tone]) =>
      h("div", { class: tone, "data-key": term }, h("dt", {}, term), h("dd", {}, `${value}`)),
    ),
  );
}

function head() {
  const made = new Date(report.created),
    when = Number.isNaN(made.getTime()) ? report.created : made.toISOString().slice(0, 16).replace("T", " ") + " UTC";
  return h(
    "header",
    {},
    h("h1", {}, report.title),
    h(
      "p",
      { class: "lead" },
      `Written ${when}`,
      report.commit ? [" at commit ", h("code", {}, report.commit.slice(0, 12))] : null,
      ` from ${report.dirs.join(", ")}.`,
    ),
    facts(),
    (report.notes ?? []).map((note) => h("p", { class: "note" }, note)),
  );
}

/** What stands above all data sets together. */
function overall({ rows }) {
  const parts = ["normalised", "Over all data sets", null];
  return h("div", { class: "panel", id: "all" }, section("all", parts, normalisedTable(rows)));
}

/** Tabs by the pattern of the WAI: arrows move, one tab is in the order of the Tab key. */
function tabs(names, panels) {
  const buttons = names.map((name, i) =>
    h(
      "button",
      { type: "button", role: "tab", id: `${panels[i].id}-tab`, "aria-controls": panels[i].id, onclick: () => show(i) },
      name,
    ),
  );
  function show(chosen) {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(i === chosen));
      button.tabIndex = i === chosen ? 0 : -1;
      panels[i].hidden = i !== chosen;
    });
  }
  const bar = h(
    "div",
    {
      class: "tabs",
      role: "tablist",
      "aria-label": "Data sets",
      onkeydown: (event) => {
        const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!move) return;
        const next = (buttons.indexOf(document.activeElement) + move + buttons.length) % buttons.length;
        buttons[next].focus();
        show(next);
      },
    },
    buttons,
  );
  panels.forEach((panel, i) => {
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", buttons[i].id);
    panel.prepend(h("p", { class: "printed" }, names[i]));
  });
  show(0);
  return bar;
}

const names = report.tables.map((table) => table.data),
  panels = report.tables.map(panel);
if (report.normalised?.rows?.length) {
  names.push("all");
  panels.push(overall(report.normalised));
}
const page = document.getElementById("page");
page.replaceChildren(head());
if (!panels.length) page.append(h("p", { class: "nothing" }, "No run has a final score yet."));
if (panels.length > 1) page.append(tabs(names, panels));
page.append(...panels, h("footer", {}, "Made by genexp report."));
