// What one data set's sections share: its settings with their colours, the filter, the order and what is hidden.

import { isNumber, lossOf } from "./data.js";

export const HUES = 7; // in page.css, told apart by every kind of eyes; further settings differ in their dashes
const DASHES = [null, "7 3", "2 3", "9 3 2 3"];
const CLEAR = 6; // so many curves can be told apart at a glance

export class View {
  constructor(table) {
    this.table = table;
    this.metrics = new Map(table.metrics.map((metric) => [metric.name, metric]));
    this.scored = table.metrics.filter(({ name }) => table.settings.some((x) => isNumber(x.mean[name])));
    this.headline = this.metrics.get(table.headline) ?? table.metrics[0];
    const ranked = this.ranked(table.settings);
    ranked.forEach((setting, rank) => {
      setting.hue = `hue${rank % HUES}`;
      setting.dash = DASHES[Math.floor(rank / HUES) % DASHES.length];
    });
    this.hidden = new Set(ranked.slice(ranked.length > HUES ? CLEAR : HUES).map((setting) => setting.id));
    this.best = ranked.slice(0, CLEAR);
    this.ordered = table.settings;
    this.words = [];
    this.listeners = [];
  }

  /** The settings from the best mean of the headline to the worst. */
  ranked(settings) {
    const loss = (setting) => lossOf(this.headline, setting.mean[this.headline.name]);
    return [...settings].sort((a, b) => compare(loss(a), loss(b)));
  }

  /** The settings that the filter leaves, in the table's order. */
  get shown() {
    const fits = (setting) => this.words.every((word) => setting.label.toLowerCase().includes(word));
    return this.ordered.filter(fits);
  }

  /** Call now and after each change. */
  follow(listener) {
    this.listeners.push(listener);
    listener();
  }

  change(changes) {
    Object.assign(this, changes);
    this.listeners.forEach((listener) => listener());
  }
}

export function compare(a, b) {
  return a === b ? 0 : a < b ? -1 : 1;
}
