// Every run: its facts, its config, the command that makes it again, and what two runs differ in.

import { nothing } from "./chart.js";
import { choice, configOf, configText, copyable, durationText, field, h, numberText, report } from "./data.js";

export function runDetails(view) {
  const groups = view
    .ranked(view.table.settings)
    .map((x) => [x, x.runs.filter((id) => report.runs[id])])
    .filter(([, ids]) => ids.length);
  const ids = groups.flatMap(([, runs]) => runs);
  if (!ids.length) return [nothing("There are no runs.")];
  let chosen = ids[0];
  const facts = h("div", { class: "facts-of-run" }),
    body = h("tbody");
  const filter = h("input", { type: "search", placeholder: "optimizer lr", oninput: drawConfig });

  function drawConfig() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = ([key, value]) => words.every((word) => `${key} ${configText(value)}`.toLowerCase().includes(word));
    const rows = Object.entries(configOf(chosen)).filter(fits).sort();
    body.replaceChildren(
      ...rows.map(([key, value]) => h("tr", {}, h("th", { scope: "row" }, key), h("td", {}, configText(value)))),
    );
    if (!rows.length) body.append(h("tr", {}, h("td", { colspan: 2, class: "nothing" }, "No key fits.")));
  }

  function draw() {
    const run = report.runs[chosen];
    const pairs = [
      ["status", run.status + (run.reason ? `: ${run.reason}` : "")],
      ["step", numberText(run.step)],
      ["wall time", durationText(run.seconds)],
      ["commit", (run.commit ?? "\u2013").slice(0, 12)],
      ["folder", run.folder],
    ];
    facts.replaceChildren(
      h(
        "dl",
        { class: "facts" },
        pairs.map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text))),
      ),
      ...commands(run, groups.find(([, ids]) => ids.includes(chosen))[0]),
    );
    drawConfig();
  }

  const pick = runChoice(
    groups,
    (id) => {
      chosen = id;
      draw();
    },
    chosen,
  );
  draw();
  return [
    h("div", { class: "controls" }, field("Run", pick), field("Search its config", filter)),
    facts,
    h(
      "div",
      { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Config of the run" },
      h("table", { class: "config" }, body),
    ),
  ];
}

export function runDiff(view) {
  const groups = view
    .ranked(view.table.settings)
    .map((x) => [x, x.runs.filter((id) => report.runs[id])])
    .filter(([, ids]) => ids.length);
  const ids = groups.flatMap(([, runs]) => runs);
  if (ids.length < 2) return [nothing("There are not two runs.")];
  let [left, right] = [ids[0], (groups[1] ?? groups[0])[1].find((id) => id !== ids[0])];
  const table = h("table", { class: "config diff" });
  function draw() {
    const [a, b] = [configOf(left), configOf(right)];
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])]
      .sort()
      .filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key]));
    table.replaceChildren(
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["key", `A, seed ${report.runs[left].seed}`, `B, seed ${report.runs[right].seed}`].map((text) =>
            h("th", { scope: "col" }, text),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        keys.length
          ? keys.map((key) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, key),
                h("td", {}, configText(a[key])),
                h("td", {}, configText(b[key])),
              ),
            )
          : h("tr", {}, h("td", { colspan: 3, class: "nothing" }, "The same config.")),
      ),
    );
  }
  draw();
  return [
    h(
      "div",
      { class: "controls" },
      field(
        "A",
        runChoice(
          groups,
          (id) => {
            left = id;
            draw();
          },
          left,
        ),
      ),
      field(
        "B",
        runChoice(
          groups,
          (id) => {
            right = id;
            draw();
          },
          right,
        ),
      ),
    ),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "What the two runs differ in" }, table),
  ];
}

/** What a person types to get the run again, and all seeds of its setting; runs that did not record it have none. */
function commands(run, setting) {
  return [
    ["This run again", run.command],
    ["All seeds of its setting", setting.command],
  ]
    .filter(([, command]) => command)
    .map(([name, command]) => h("div", {}, h("p", { class: "muted" }, name), copyable(command)));
}

function runChoice(groups, onChoice, chosen) {
  const select = choice([], onChoice);
  for (const [setting, ids] of groups) {
    select.append(
      h(
        "optgroup",
        { label: setting.label },
        ids.map((id) => {
          const { seed, status } = report.runs[id];
          return h(
            "option",
            { value: id, selected: id === chosen },
            `${setting.label}, seed ${seed}${status === "complete" ? "" : ` (${status})`}`,
          );
        }),
      ),
    );
  }
  return select;
}
