// The report's data, the elements of the page, and one way to write numbers.

export const report = JSON.parse(document.getElementById("report").textContent);

/** The config of a run: what its setting computes, and what is its own. */
export function configOf(id) {
  const run = report.runs[id];
  return { ...report.configs[run.setting], seed: run.seed, name: run.name };
}

/** An element with attributes (on… are listeners; null and false are left out) and children (text stays text). */
export function h(tag, attributes, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** The same in a drawing. */
export function s(tag, attributes, ...children) {
  return dressed(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function dressed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
export const plural = (count, noun) => `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;

const minus = (text) => text.replace(/-/g, "\u2212");

/** Three digits, or a whole number with all of its digits. */
export function numberText(value) {
  if (!isNumber(value)) return "\u2013";
  if (Math.abs(value) >= 999.5 || Number.isInteger(value)) return minus(Math.round(value).toLocaleString("en-US"));
  return minus(value.toPrecision(3));
}

/** Two digits of the half-width, and as many decimals of the value. */
export function intervalText(value, halfWidth) {
  if (!isNumber(value) || !isNumber(halfWidth)) return numberText(value);
  const decimals = halfWidth > 0 ? Math.max(0, 1 - Math.floor(Math.log10(halfWidth))) : 9;
  if (decimals > 5) return `${numberText(value)} ± ${halfWidth > 0 ? minus(halfWidth.toPrecision(1)) : 0}`;
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return `${minus(value.toLocaleString("en-US", digits))} ± ${halfWidth.toLocaleString("en-US", digits)}`;
}

/** A probability of a test: two digits, and no false precision near 0. */
export const chanceText = (p) => (!isNumber(p) ? "\u2013" : p < 0.001 ? "< 0.001" : p.toPrecision(2));

export function durationText(seconds) {
  if (!isNumber(seconds)) return "\u2013";
  if (seconds < 120) return `${numberText(seconds)} s`;
  if (seconds < 7200) return `${numberText(seconds / 60)} min`;
  return `${numberText(seconds / 3600)} h`;
}

/** A value of a config as a person writes it. */
export const configText = (value) =>
  value === undefined ? "\u2013" : typeof value === "string" ? value : JSON.stringify(value);

/** The value turned so that lower is better; missing values come last. */
export function lossOf(metric, value) {
  if (!isNumber(value)) return Infinity;
  if (metric.better === "higher") return -value;
  return metric.better === "target" && isNumber(metric.null) ? Math.abs(value - metric.null) : value;
}

/** A setting's name: what is set is quiet, to what is not. The text is the label itself. */
export function labelOf(label) {
  return h(
    "span",
    { class: "label" },
    label.split(/( )/).map((word) => {
      const cut = word.indexOf("=") + 1;
      return cut > 0 ? [h("span", { class: "key" }, word.slice(0, cut)), h("wbr"), word.slice(cut)] : word;
    }),
  );
}

/** A control with its name. */
export const field = (name, control) => h("label", { class: "field" }, h("span", {}, name), control);

export function choice(options, onChoice, chosen) {
  const select = h("select", { onchange: () => onChoice(select.value) });
  for (const [value, text] of options) select.append(h("option", { value, selected: value === chosen }, text));
  return select;
}

/** A button that copies a text; where the clipboard is out of reach the text is selected instead. */
export function copyable(text) {
  const code = h("code", {}, text);
  const button = h("button", { type: "button", class: "copy", onclick: copy }, "Copy");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1600);
  }
  return h("div", { class: "command" }, code, button);
}
