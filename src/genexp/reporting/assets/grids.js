// Sample sheets of all settings at one step, moved together by a slider; and samples above their nearest neighbours.

import { nothing } from "./chart.js";
import { compare } from "./view.js";
import { h, labelOf, numberText, report } from "./data.js";

const BEAT = 450; // milliseconds a picture stands when they are played

/** The runs of a setting that carry pictures. */
const pictured = (setting) =>
  setting.runs.map((id) => report.runs[id]).filter((run) => run && (run.pictures?.length || run.final));

export function sampleGrids(view) {
  const sources = new Map(view.table.settings.map((x) => [x.id, pictured(x)[0]]).filter(([, run]) => run));
  if (!sources.size) return [nothing("No pictures of samples are in this report.")];
  const runs = [...sources.values()];
  const steps = [...new Set(runs.flatMap((run) => (run.pictures ?? []).map((picture) => picture.step)))].sort(compare);
  const stops = [
    ...steps.map((step) => ({ step, text: `step ${numberText(step)}` })),
    ...(runs.some((run) => run.final) ? [{ step: Infinity, text: "end of training" }] : []),
  ];
  const output = h("output", { class: "stop" });
  const slider = h("input", {
    type: "range",
    min: 0,
    max: stops.length - 1,
    step: 1,
    value: stops.length - 1,
    oninput: show,
  });
  const figures = h("div", { class: "figures" });
  let shots = [];

  function show() {
    const stop = stops[Number(slider.value)];
    output.textContent = stop.text;
    slider.setAttribute("aria-valuetext", stop.text);
    for (const { image, run, note } of shots) {
      const shot = pictureAt(run, stop.step);
      image.src = shot.src;
      image.dataset.step = shot.step;
      const what = [`seed ${run.seed}`, shot.step === "final" ? "final" : `step ${numberText(shot.step)}`];
      if (run.status !== "complete") what.push(run.status);
      note.textContent = what.join(", ");
      image.alt = `Samples of ${run.name}, ${note.textContent}`;
    }
  }

  function draw() {
    shots = view.shown
      .filter((x) => sources.has(x.id))
      .map((setting) => ({
        setting,
        run: sources.get(setting.id),
        image: sheet(),
        note: h("span", { class: "muted" }),
      }));
    figures.replaceChildren(
      ...shots.map(({ setting, image, note }) =>
        h(
          "figure",
          { "data-id": setting.id, class: setting.hue },
          image,
          h(
            "figcaption",
            {},
            h("span", { class: "name" }, h("i", { class: "dot", "aria-hidden": "true" }), labelOf(setting.label)),
            note,
          ),
        ),
      ),
    );
    show();
  }

  view.follow(draw);
  return [
    h(
      "div",
      { class: "controls slider" },
      h("label", { class: "field wide" }, h("span", {}, "Training"), slider),
      stops.length > 1 ? player(slider, stops.length, show) : null,
      output,
    ),
    figures,
  ];
}

const sheet = () =>
  h("img", {
    loading: "lazy",
    onload: (event) => event.target.classList.toggle("coarse", event.target.naturalWidth < event.target.clientWidth),
  });

/** The last picture up to a step, or the first; the end is the final picture where there is one. */
function pictureAt(run, step) {
  const pictures = run.pictures ?? [];
  if (run.final && (step === Infinity || !pictures.length)) return { step: "final", src: run.final };
  return pictures.findLast((picture) => picture.step <= step) ?? pictures[0];
}

/** A button that moves the slider by itself until its end. */
function player(slider, count, show) {
  let timer = null;
  const button = h("button", { type: "button", onclick: () => (timer ? stop() : start()) }, "Play");
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  function start() {
    if (Number(slider.value) >= count - 1) slider.value = 0;
    button.textContent = "Stop";
    show();
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) >= count - 1) stop();
    }, BEAT);
  }
  return button;
}

/** Generated images above the training images that they are nearest to; null where no run has them. */
export function neighbourStrips(view) {
  const strips = h("div", { class: "strips" });
  const sources = new Map(
    view.table.settings
      .map((x) => [x.id, x.runs.map((id) => report.runs[id]).find((run) => run?.nearest)])
      .filter(([, run]) => run),
  );
  if (!sources.size) return null;
  view.follow(() =>
    strips.replaceChildren(
      ...view.shown
        .filter((x) => sources.has(x.id))
        .map((setting) => {
          const run = sources.get(setting.id);
          return h(
            "figure",
            { class: setting.hue },
            h(
              "figcaption",
              {},
              h("span", { class: "name" }, h("i", { class: "dot", "aria-hidden": "true" }), labelOf(setting.label)),
              h("span", { class: "muted" }, `seed ${run.seed}`),
            ),
            h(
              "div",
              {
                class: "scroll",
                tabindex: "0",
                role: "region",
                "aria-label": `Nearest neighbours of ${setting.label}`,
              },
              h("img", {
                src: run.nearest,
                loading: "lazy",
                alt: `Samples of ${setting.label} above their nearest training images`,
              }),
            ),
          );
        }),
    ),
  );
  return [
    h(
      "p",
      { class: "lead" },
      "Generated images in the upper row, the training image nearest to each below it. Twins would mean copying.",
    ),
    strips,
  ];
}
