// The search: its state is the page's address, so that it can be bookmarked and shared, and Back works.

import { get, showAccount } from "./account.js";
import { Picture, chip, element, notice } from "./picture.js";

const form = document.getElementById("form");
const results = document.getElementById("results");
const more = document.getElementById("more");
const WHEN = new Intl.DateTimeFormat([], { dateStyle: "short", timeStyle: "medium" });
const TIMES = ["since", "until"];
let next = null;
let latest = 0;

function pad(number) {
  return String(number).padStart(2, "0");
}

// The address holds UTC; the form shows the reader's own time.
function toLocal(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "";
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return `${day}T${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

function fillForm() {
  for (const [name, value] of new URLSearchParams(location.search)) {
    const field = form.elements.namedItem(name);
    if (!field) continue;
    if (field instanceof HTMLSelectElement && ![...field.options].some((option) => option.value === value)) {
      field.append(new Option(value, value));
    }
    field.value = TIMES.includes(name) ? toLocal(value) : value;
  }
}

function readForm() {
  const query = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value) query.set(name, TIMES.includes(name) ? new Date(value).toISOString() : value);
  }
  return query;
}

async function fillChoices() {
  const [cameras, found] = await Promise.allSettled([get("/api/cameras"), get("/api/choices")]);
  const names = {
    camera: [...(cameras.value?.cameras.map((camera) => camera.name) ?? []), ...(found.value?.cameras ?? [])],
    model: found.value?.models ?? [],
    version: found.value?.versions ?? [],
    label: found.value?.labels ?? [],
  };
  for (const [field, values] of Object.entries(names)) {
    const select = form.elements.namedItem(field);
    const present = new Set([...select.options].map((option) => option.value));
    for (const value of [...new Set(values)].sort()) if (!present.has(value)) select.append(new Option(value, value));
  }
}

function card(hit) {
  const made = element("article", "tile result");
  made.dataset.id = hit.id;
  const picture = new Picture("loading");
  const link = element("a");
  link.href = hit.image;
  link.append(picture.root);
  const caption = element("div", "caption");
  const matching = hit.detections.filter((found) => found.matches).length;
  const age = element("time", "age", WHEN.format(new Date(hit.captured_at)));
  age.dateTime = hit.captured_at;
  const version = element("span", "version", hit.model_version);
  version.title = `${hit.model} ${hit.model_version}`;
  caption.append(element("span", "name", hit.camera), chip(hit, matching), age, version);
  made.append(link, caption);
  if (hit.inference) made.append(element("div", "carried", hit.inference.text));
  picture.show({ ...hit, results: [{ model: hit.model, detections: hit.detections }] });
  return made;
}

async function load(after) {
  const request = ++latest;
  const query = new URLSearchParams(location.search);
  if (after) query.set("after", after);
  more.disabled = true;
  notice("Searching …");
  try {
    const page = await get(`/api/search?${query}`);
    if (request !== latest) return;
    const cards = page.results.map(card);
    if (after) results.append(...cards);
    else results.replaceChildren(...cards);
    next = page.next;
    const count = page.total_is_exact ? page.total.toLocaleString() : `more than ${page.total.toLocaleString()}`;
    const unreadable = page.unreadable ? `; ${page.unreadable} here cannot be read` : "";
    const missing = page.not_searched ? `; ${page.not_searched} parts of the index could not be searched` : "";
    const found = page.total ? `${count} results` : `Nothing found${missing ? "" : "."}`;
    notice(`${found}${unreadable}${missing}`, page.unreadable + page.not_searched > 0);
  } catch (error) {
    if (request !== latest) return;
    if (!after) {
      results.replaceChildren();
      next = null;
    }
    notice(error.message, true);
  }
  results.dataset.loaded = String(request);
  more.disabled = false;
  more.hidden = next === null;
}

function search(event) {
  event.preventDefault();
  history.pushState(null, "", `/search?${readForm()}`);
  load();
}

form.addEventListener("submit", search);
form.addEventListener("reset", (event) => {
  event.preventDefault();
  for (const field of form.elements) field.value = "";
  search(event);
});
more.addEventListener("click", () => load(next));
addEventListener("popstate", () => location.reload());
fillForm();
load();
fillChoices();
showAccount();
