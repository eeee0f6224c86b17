// Scales, ticks, axes and the frame of every plot.

import { h, isNumber, numberText, s } from "./data.js";

const PAPER = 700; // pixels, for what is printed without having been seen
const MARGIN = { top: 12, right: 16, bottom: 42, left: 58 };

/** The least and the greatest of the numbers with some air; null if there are none. */
export function extent(values, log = false) {
  const numbers = values.filter((value) => isNumber(value) && (!log || value > 0));
  if (!numbers.length) return null;
  let low = Infinity,
    high = -Infinity;
  for (const value of numbers) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (log) return [low / 1.08, high * 1.08];
  const air = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - air, high + air];
}

function linear([low, high]) {
  const place = (value) => (value - low) / (high - low);
  const ticks = (count) => {
    const raw = (high - low) / Math.max(count, 1);
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999) * power;
    const first = Math.ceil(low / step - 1e-9);
    const marks = [];
    for (let i = first; i * step <= high + step * 1e-9; i++) marks.push(Number((i * step).toPrecision(12)));
    return marks;
  };
  return { place, ticks, format: tickText };
}

function logarithmic([low, high]) {
  const place = (value) => (value > 0 ? Math.log(value / low) / Math.log(high / low) : -Infinity);
  const ticks = (count) => {
    const marks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const factor of [1, 2, 5]) marks.push(Number((factor * 10 ** power).toPrecision(6)));
    }
    const inside = marks.filter((mark) => mark >= low && mark <= high);
    if (inside.length < 2) return linear([low, high]).ticks(count);
    return inside.filter((_, i) => i % Math.ceil(inside.length / (count + 1)) === 0);
  };
  return { place, ticks, format: tickText };
}

function tickText(value) {
  const size = Math.abs(value);
  if (size >= 1e6) return `${numberText(value / 1e6).replace(/\.?0+$/, "")}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))}k`;
  if (size > 0 && size < 1e-3) return value.toExponential(0).replace("-", "\u2212");
  return String(Number(value.toPrecision(6))).replace("-", "\u2212");
}

/**
 * A drawing with axes and grid lines.
 *
 * x and y: {domain, label, log}; a y without a domain has no axis (the rows name themselves).
 * Gives {root, plot, x, y, left, right, top, bottom}: x and y turn values into pixels, plot is clipped to the axes.
 */
export function frame({ width, height, x, y, margin = {}, describes }) {
  const edge = { ...MARGIN, ...margin };
  const [left, right, top, bottom] = [edge.left, width - edge.right, edge.top, height - edge.bottom];
  const root = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": describes });
  const across = scaled(x, left, right),
    up = y.domain ? scaled(y, bottom, top) : null;
  for (const tick of across.ticks(Math.max(2, (right - left) / 90))) {
    const at = across.at(tick);
    root.append(s("line", { class: "rule", x1: at, x2: at, y1: top, y2: bottom }));
    root.append(s("text", { class: "tick", x: at, y: bottom + 17, "text-anchor": "middle" }, across.format(tick)));
  }
  for (const tick of up ? up.ticks(Math.max(2, (bottom - top) / 48)) : []) {
    const at = up.at(tick);
    root.append(s("line", { class: "rule", x1: left, x2: right, y1: at, y2: at }));
    root.append(s("text", { class: "tick", x: left - 8, y: at + 4, "text-anchor": "end" }, up.format(tick)));
  }
  root.append(s("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
  root.append(s("text", { class: "name", x: (left + right) / 2, y: height - 6, "text-anchor": "middle" }, x.label));
  if (y.label)
    root.append(
      s(
        "text",
        { class: "name", transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
        y.label,
      ),
    );
  const clip = `clip${(frame.count = (frame.count ?? 0) + 1)}`;
  root.append(
    s(
      "clipPath",
      { id: clip },
      s("rect", {
        x: left - 5,
        y: top - 5,
        width: Math.max(right - left + 10, 0),
        height: Math.max(bottom - top + 10, 0),
      }),
    ),
  );
  const plot = s("g", { "clip-path": `url(#${clip})` });
  root.append(plot);
  return { root, plot, x: across.at, y: up?.at, left, right, top, bottom };
}

function scaled(axis, from, to) {
  const scale = (axis.log ? logarithmic : linear)(axis.domain);
  return { ...scale, at: (value) => from + (to - from) * Math.max(-9, Math.min(9, scale.place(value))) };
}

/** A path through pixels; null is a gap. */
export function line(points) {
  let path = "",
    pen = "M";
  for (const point of points) {
    if (point) path += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = point ? "L" : "M";
  }
  return path;
}

/** A closed area between two edges of equal length. */
export function area(low, high) {
  return low.length ? `${line(low)}${line([...high].reverse()).replace("M", "L")}Z` : "";
}

export const titled = (element, text) => (element.append(s("title", {}, text)), element);

/** The anchors' lines across a plot: [{name, value}] at pixel places; those out of sight are left out. */
export function anchorLines(chart, anchors, along) {
  for (const { name, value } of anchors) {
    const at = chart[along](value);
    const [low, high] = along === "x" ? [chart.left, chart.right] : [chart.top, chart.bottom];
    if (!(at >= low - 1 && at <= high + 1)) continue;
    const ends =
      along === "x"
        ? { x1: at, x2: at, y1: chart.top, y2: chart.bottom }
        : { x1: chart.left, x2: chart.right, y1: at, y2: at };
    if (name === "perfect") chart.plot.append(s("line", { class: "halo", ...ends }));
    chart.plot.append(
      titled(
        s("line", { class: `anchor ${name === "perfect" ? "perfect" : "other"}`, ...ends }),
        `${name}: ${numberText(value)}`,
      ),
    );
  }
}

/** A box whose drawing is made anew whenever its width changes: text stays the size of text. */
export function drawn(draw) {
  const box = h("div", { class: "chart" });
  let width = 0;
  const redraw = () => width > 0 && box.replaceChildren(draw(width));
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return;
    width = now;
    redraw();
  }).observe(box);
  addEventListener("beforeprint", () => width || box.replaceChildren(draw(PAPER)));
  return { box, redraw };
}

export const nothing = (text) => h("p", { class: "nothing" }, text);
