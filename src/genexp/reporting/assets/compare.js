// Two settings side by side, over the seeds that both have.

import { drawn, extent, frame, nothing, titled } from "./chart.js";
import { chanceText, choice, field, h, intervalText, isNumber, lossOf, mean, numberText, plural, s } from "./data.js";

const LEVEL = 0.05;

export function comparison(view) {
  const settings = view.ranked(view.table.settings);
  const named = (id) => settings.find((x) => x.id === id);
  if (settings.length < 2) return [nothing("There is only one setting.")];
  let [a, b] = view.table.compare ? [named(view.table.compare.a), named(view.table.compare.b)] : settings;
  const options = settings.map((x) => [x.id, x.label]);
  const answer = h("div", { class: "answer", "aria-live": "polite" });
  const plot = drawn((width) => pairs(view, a, b, width));
  const renew = () => {
    answer.replaceChildren(...statement(view, a, b));
    plot.redraw();
  };
  renew();
  return [
    h(
      "div",
      { class: "controls" },
      field(
        "A",
        choice(
          options,
          (id) => {
            a = named(id);
            renew();
          },
          a.id,
        ),
      ),
      field(
        "B",
        choice(
          options,
          (id) => {
            b = named(id);
            renew();
          },
          b.id,
        ),
      ),
    ),
    h("div", { class: "pair" }, answer, plot.box),
  ];
}

/** The record of two settings, turned so that it says a minus b; null if there is none. */
function recordOf(view, a, b) {
  const fits = (x, first, second) => x.a === first.id && x.b === second.id && x.metric === view.headline.name;
  const straight = view.table.comparisons.find((x) => fits(x, a, b));
  if (straight) return straight;
  const turned = view.table.comparisons.find((x) => fits(x, b, a));
  return turned ? { ...turned, difference: isNumber(turned.difference) ? -turned.difference : null } : null;
}

const valueOf = (setting, name, seed) => setting.values[name][setting.seeds.indexOf(seed)];

function statement(view, a, b) {
  if (a === b) return [nothing("Choose two different settings.")];
  const record = recordOf(view, a, b),
    metric = view.headline,
    name = metric.name;
  if (!record)
    return [nothing("This pair was not compared: genexp report compare=A,B names the pair that it shall compare.")];
  if (!isNumber(record.difference)) return [nothing("They share no seed with a finite score.")];
  const loss = (setting, seed) => lossOf(metric, valueOf(setting, name, seed));
  const wins = record.seeds.filter((seed) => loss(a, seed) < loss(b, seed)).length;
  const facts = [
    [
      `${name}${record.of ? `, ${record.of}` : ""}: A − B`,
      intervalText(record.difference, record.half_width),
      "difference",
    ],
    ["paired t, p", chanceText(record.p), "p"],
    ["Welch t, p", chanceText(record.welch_p), "welch"],
    ["A is better on", `${wins} of ${plural(record.seeds.length, "seed")}`, "wins"],
    ["A reads", intervalText(a.mean[name], a.half_width[name]), "a"],
    ["B reads", intervalText(b.mean[name], b.half_width[name]), "b"],
  ];
  return [
    h("p", { class: "verdict" }, verdict(view, a, b, record)),
    h(
      "dl",
      { class: "facts" },
      facts.map(([term, text, key]) => h("div", {}, h("dt", {}, term), h("dd", { "data-key": key }, text))),
    ),
  ];
}

/** One plain sentence: Welch's test over all runs decides, as it does for the bold numbers of the table. */
function verdict(view, a, b, record) {
  const { compare: asked } = view.table,
    name = view.headline.name;
  if (asked && [asked.a, asked.b].includes(a.id) && [asked.a, asked.b].includes(b.id)) return asked.sentence;
  const failures = (x) =>
    x.failures.length ? ` Failed and not in this: ${plural(x.failures.length, "run")} of ${x === a ? "A" : "B"}.` : "";
  return `On ${name} alone, ${finding(view, a, b, record)}.${failures(a)}${failures(b)}`;
}

function finding({ headline }, a, b, { seeds, p, welch_p: welch }) {
  if (!isNumber(welch)) return "a test needs at least two finished runs of each";
  const both = `Welch t over all runs, p${"\u00a0"}${welch < 0.001 ? "" : "=\u00a0"}${chanceText(welch)}`;
  if (welch >= LEVEL) {
    const paired =
      isNumber(p) && p < LEVEL ? `; pairs over ${plural(seeds.length, "shared seed")} do differ in one direction` : "";
    return `A and B are not separable at this budget (${both})${paired}`;
  }
  if (headline.better === "none") return `A and B differ, and neither way is better (${both})`;
  const loss = (x) => mean(x.values[headline.name].filter(isNumber).map((value) => lossOf(headline, value)));
  return `${loss(a) < loss(b) ? "A is better than B" : "B is better than A"} (${both})`;
}

/** A line per shared seed from A to B. */
function pairs(view, a, b, width) {
  const record = a === b ? null : recordOf(view, a, b),
    name = view.headline.name;
  const rows = (record?.seeds ?? [])
    .map((seed) => ({ seed, from: valueOf(a, name, seed), to: valueOf(b, name, seed) }))
    .filter((x) => isNumber(x.from) && isNumber(x.to));
  if (!rows.length) return h("span");
  const chart = frame({
    width,
    height: rows.length * 24 + 66,
    x: { domain: extent(rows.flatMap((x) => [x.from, x.to])), label: `${name} ${view.headline.aim}` },
    y: {},
    margin: { left: 64, top: 20 },
    describes: `${name} of A and B for each shared seed`,
  });
  rows.forEach(({ seed, from, to }, i) => {
    const y = chart.top + 14 + i * 24;
    chart.root.append(
      s("text", { class: "rowname", x: chart.left - 12, y: y + 4, "text-anchor": "end" }, `seed ${seed}`),
    );
    chart.plot.append(s("line", { class: "link", x1: chart.x(from), x2: chart.x(to), y1: y, y2: y }));
    for (const [setting, value, text] of [
      [a, from, "A"],
      [b, to, "B"],
    ]) {
      chart.plot.append(
        s(
          "g",
          { class: setting.hue },
          titled(
            s("circle", { class: "spot", cx: chart.x(value), cy: y, r: 5 }),
            `${text}, seed ${seed}: ${numberText(value)}`,
          ),
        ),
      );
    }
  });
  const first = rows[0],
    apart = Math.abs(chart.x(first.from) - chart.x(first.to)) > 12;
  if (apart)
    [
      [first.from, "A"],
      [first.to, "B"],
    ].forEach(([value, text]) =>
      chart.root.append(
        s("text", { class: "anchorname", x: chart.x(value), y: chart.top + 4, "text-anchor": "middle" }, text),
      ),
    );
  return chart.root;
}
