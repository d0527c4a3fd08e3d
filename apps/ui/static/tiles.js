// Live tiles: one request a second for all of them, images only for those that can be seen.

import { get } from "./account.js";
import { Picture, age, chip, element, notice } from "./picture.js";

const PERIOD = 1000;
const LATE_SECONDS = 15;
const BEHIND_SECONDS = 10;

export class Tile {
  constructor(name) {
    this.name = name;
    this.visible = false;
    this.camera = null;
    this.root = element("article", "tile");
    this.root.dataset.camera = name;
    this.picture = new Picture("no frame yet");
    this.dot = element("span", "dot");
    this.chips = element("span", "chips");
    this.age = element("time", "age");
    this.trouble = element("div", "trouble");
    const link = element("a");
    link.href = `/camera/${name}`;
    link.append(this.picture.root);
    const caption = element("div", "caption");
    caption.append(this.dot, element("span", "name", name), this.chips, this.age);
    this.root.append(link, caption, this.trouble);
  }

  update(camera) {
    this.camera = camera;
    this.dot.className = `dot ${camera.state}`;
    this.dot.title = camera.state;
    this.root.dataset.state = camera.state;
    this.trouble.textContent = camera.error ?? "";
    if (this.visible) this.paint();
  }

  setVisible(visible) {
    this.visible = visible;
    if (visible && this.camera) this.paint();
  }

  async paint() {
    const { frame } = this.camera;
    if (!frame || !(await this.picture.show(frame))) return;
    this.root.dataset.sequence = frame.sequence;
    this.chips.replaceChildren(...frame.results.map((result) => chip(result, result.detections.length)));
  }

  tick(now) {
    const frame = this.camera?.frame;
    if (!frame || !this.visible) return;
    const seconds = now - Date.parse(frame.captured_at) / 1000;
    this.age.textContent = age(seconds);
    this.age.classList.toggle("late", seconds > LATE_SECONDS);
  }
}

export class Live {
  // `only`, where given, is the one camera to show.
  constructor(place, only = null) {
    this.place = place;
    this.only = only;
    this.tiles = new Map();
    this.token = null;
    this.skew = 0;
    this.onUpdate = () => {};
    this.observer = new IntersectionObserver(
      (entries) => entries.forEach((entry) => this.tiles.get(entry.target.dataset.camera).setVisible(entry.isIntersecting)),
      { rootMargin: "100px" },
    );
  }

  async run() {
    for (;;) {
      if (!document.hidden) await this.poll();
      await new Promise((resolve) => setTimeout(resolve, PERIOD));
    }
  }

  async poll() {
    try {
      const query = this.token ? `?since=${this.token}` : "";
      this.apply(await get(`/api/wall${query}`, { signal: AbortSignal.timeout(10 * PERIOD) }));
      notice("");
    } catch (error) {
      notice(`The server does not answer (${error.message}); trying again.`, true);
    }
    const now = Date.now() / 1000 + this.skew;
    for (const tile of this.tiles.values()) tile.tick(now);
  }

  apply(update) {
    this.token = update.token;
    this.skew = update.now - Date.now() / 1000;
    for (const camera of update.cameras) {
      if (this.only && camera.name !== this.only) continue;
      this.tile(camera.name).update(camera);
    }
    this.showStatistics(update.statistics);
    this.onUpdate(update);
  }

  tile(name) {
    if (!this.tiles.has(name)) {
      const tile = new Tile(name);
      this.tiles.set(name, tile);
      const next = [...this.place.children].find((other) => other.dataset.camera > name);
      this.place.insertBefore(tile.root, next ?? null);
      this.observer.observe(tile.root);
    }
    return this.tiles.get(name);
  }

  showStatistics(statistics) {
    const streaming = [...this.tiles.values()].filter((tile) => tile.camera?.state === "streaming").length;
    const show = (id, text) => (document.getElementById(id).textContent = text);
    show("streaming", this.only ? statistics.cameras : `${streaming} / ${this.tiles.size}`);
    show("frames", statistics.frames_per_second.toFixed(1));
    show("results", statistics.results_per_second.toFixed(1));
    show("latency", statistics.latency_seconds === null ? "–" : age(statistics.latency_seconds));
    const delays = Object.entries(statistics.behind_seconds).filter(([, seconds]) => seconds !== null);
    document.getElementById("latency").title = delays.map(([model, seconds]) => `${model} ${age(seconds)}`).join(", ");
    const late = delays.filter(([, seconds]) => seconds > BEHIND_SECONDS);
    const told = late.map(([model, seconds]) => `${model} is ${age(seconds)} behind`).join(", ");
    const { records, camera } = statistics.not_shown;
    const others = `${records} frames and results of cameras that the stack does not name, such as ${camera}`;
    show("not-shown", records ? `${others}, are not shown: there are too many such names.` : "");
    show("behind", late.length ? `${told}: frames come faster than it gets through them, or it is starting.` : "");
  }
}

export function connectBoxesSwitch() {
  const control = document.getElementById("boxes");
  const apply = () => document.body.classList.toggle("no-boxes", !control.checked);
  control.addEventListener("change", apply);
  apply();
}
