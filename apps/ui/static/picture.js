// A picture: an image and what was found in it, changed together.

const HUES = [165, 38, 205, 320, 95, 270, 12, 55, 185, 240];
const SVG = "http://www.w3.org/2000/svg";
const SURE = 0.5;
const CLASSES_SHOWN = 3;
const RETRY_SECONDS = [1, 2, 4, 8, 16];
const hues = new Map();

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Labels take the hues in the order of a hash, so that a label keeps its colour over pages and visits.
function hue(label) {
  if (!hues.has(label)) {
    let hash = 0;
    for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
    hues.set(label, HUES[hash % HUES.length]);
  }
  return hues.get(label);
}

function percent(part, whole) {
  return `${(100 * part) / whole}%`;
}

// A class of the whole frame: it is shown as a label in the corner instead of a box around everything.
export function isClass({ box: [x1, y1, x2, y2], polygon, keypoints }, frame) {
  return !polygon && !keypoints && x1 <= 0 && y1 <= 0 && x2 >= frame.width && y2 >= frame.height;
}

function tag(found) {
  return element("span", "", `${found.label} ${Math.round(found.score * 100)}`);
}

function withHue(made, found) {
  if (found.matches === false) made.classList.add("other");
  made.style.setProperty("--hue", hue(found.label));
  return made;
}

// The upright box with its label. A detection with an outline gets only the label, at the outline's highest point.
function box(found, frame) {
  const [x1, y1, x2, y2] = found.box;
  const made = withHue(element("div", "box"), found);
  const top = found.polygon?.reduce((highest, point) => (point[1] < highest[1] ? point : highest));
  const [left, upper, width, height] = top ? [...top, 0, 0] : [x1, y1, x2 - x1, y2 - y1];
  if (top) made.classList.add("bare");
  if (found.label === "motion") made.classList.add("motion");
  if (upper / frame.height < 0.1) made.classList.add("inside");
  // A label grows away from the nearer side, as far as the other one.
  const leftwards = left / frame.width > 0.65;
  if (leftwards) made.classList.add("leftwards");
  made.style.setProperty("--room", `${(100 * (leftwards ? left + width : frame.width - left)) / frame.width}cqw`);
  made.style.left = percent(left, frame.width);
  made.style.top = percent(upper, frame.height);
  made.style.width = percent(width, frame.width);
  made.style.height = percent(height, frame.height);
  made.append(tag(found));
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Strokes keep their width whatever the tile's size; a line of no length with round ends is a dot.
function outline({ polygon, keypoints }) {
  const made = shape("g", {});
  if (polygon) made.append(shape("polygon", { points: polygon.join(" ") }));
  for (const [x, y, score] of keypoints ?? []) {
    made.append(shape("path", { d: `M${x} ${y}h0`, class: score < SURE ? "point faint" : "point" }));
  }
  return made;
}

function overlay(frame) {
  const found = frame.results.flatMap(({ detections }) => detections);
  const outlined = found.filter(({ polygon, keypoints }) => polygon || keypoints);
  const shapes = shape("svg", { viewBox: `0 0 ${frame.width} ${frame.height}`, preserveAspectRatio: "none" });
  shapes.append(...outlined.map((one) => withHue(outline(one), one)));
  const classes = element("div", "classes");
  for (const { detections } of frame.results) {
    const best = detections.filter((one) => isClass(one, frame)).sort((one, other) => other.score - one.score);
    classes.append(...best.slice(0, CLASSES_SHOWN).map((one) => withHue(tag(one), one)));
  }
  return [shapes, ...found.filter((one) => !isClass(one, frame)).map((one) => box(one, frame)), classes];
}

// What a model found in a frame: its name and a number, fainter where it did not look at the frame itself.
export function chip(result, count) {
  const made = element("span", count ? "chip some" : "chip", `${result.model} ${count}`);
  made.classList.toggle("carried", Boolean(result.inference));
  if (result.inference) made.title = `${result.model}: ${result.inference.text}`;
  return made;
}

export class Picture {
  constructor(emptyText) {
    this.root = element("div", "picture");
    this.empty = element("div", "empty", emptyText);
    this.stage = element("div", "stage");
    this.image = element("img");
    this.image.alt = "";
    this.boxes = element("div", "boxes");
    this.stage.append(this.image, this.boxes);
    this.root.append(this.empty, this.stage);
    this.wanted = null;
  }

  // Shows a frame: {image, width, height, results: [{model, detections}]}. The old one stays until the new is here.
  async show(frame) {
    const reload = this.image.getAttribute("src") !== frame.image;
    this.wanted = frame;
    if (reload) {
      const next = await this.fetch(frame);
      if (next === null || this.wanted !== frame) return false;
      this.image.replaceWith(next);
      this.image = next;
    }
    this.stage.style.aspectRatio = `${frame.width} / ${frame.height}`;
    this.stage.classList.toggle("tall", frame.width / frame.height < 16 / 9);
    this.boxes.replaceChildren(...overlay(frame));
    this.empty.hidden = true;
    return true;
  }

  // The loaded image, or null. A result can be found before its image is stored, so a missing one is asked for again.
  async fetch(frame) {
    for (const seconds of [...RETRY_SECONDS, null]) {
      const image = element("img");
      image.alt = "";
      image.src = frame.image;
      try {
        await image.decode();
        return image;
      } catch {
        if (this.wanted === frame && !this.image.hasAttribute("src")) this.empty.textContent = "image not available";
      }
      if (seconds !== null) await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      if (this.wanted !== frame || !this.root.isConnected) break;
    }
    return null;
  }
}

export function age(seconds) {
  const whole = Math.max(0, seconds);
  if (whole < 10) return `${whole.toFixed(1)} s`;
  if (whole < 120) return `${Math.round(whole)} s`;
  if (whole < 7200) return `${Math.round(whole / 60)} min`;
  return `${Math.round(whole / 3600)} h`;
}

export function notice(text, bad = false) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.classList.toggle("bad", bad);
}
