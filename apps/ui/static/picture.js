// A picture: an image and the boxes of what was found in it, changed together.

const HUES = [165, 38, 205, 320, 95, 270, 12, 55, 185, 240];
const RETRY_SECONDS = [1, 2, 4, 8, 16];
const known = new Map();

export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Labels take the hues in the order of a hash, so that a label keeps its colour over pages and visits.
function hue(label) {
  if (!known.has(label)) {
    let hash = 0;
    for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
    known.set(label, HUES[hash % HUES.length]);
  }
  return known.get(label);
}

function box(found, frame) {
  const [x1, y1, x2, y2] = found.box;
  const made = element("div", "box");
  if (found.label === "motion") made.classList.add("motion");
  if (y1 / frame.height < 0.08) made.classList.add("inside");
  if (found.matches === false) made.classList.add("other");
  made.style.setProperty("--hue", hue(found.label));
  made.style.left = `${(100 * x1) / frame.width}%`;
  made.style.top = `${(100 * y1) / frame.height}%`;
  made.style.width = `${(100 * (x2 - x1)) / frame.width}%`;
  made.style.height = `${(100 * (y2 - y1)) / frame.height}%`;
  made.append(element("span", "", `${found.label} ${Math.round(found.score * 100)}`));
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
    this.boxes.replaceChildren(
      ...frame.results.flatMap(({ detections }) => detections.map((found) => box(found, frame))),
    );
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
