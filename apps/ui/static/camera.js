import { element } from "./picture.js";
import { Live, boxesSwitch } from "./tiles.js";

const name = decodeURIComponent(location.pathname.split("/").pop());
const live = new Live(document.getElementById("wall"), name);

document.title = `Argus · ${name}`;
document.getElementById("title").textContent = name;
document.getElementById("history").href = `/search?camera=${encodeURIComponent(name)}`;

function row(model, found) {
  const made = element("tr");
  const corners = found.box.map((edge) => Math.round(edge)).join(", ");
  for (const text of [model, found.label, found.score.toFixed(2), corners]) made.append(element("td", "", text));
  return made;
}

live.onNews = () => {
  const results = live.tiles.get(name)?.camera.frame?.results ?? [];
  document
    .getElementById("detections")
    .replaceChildren(...results.flatMap(({ model, detections }) => detections.map((found) => row(model, found))));
};
boxesSwitch();
live.run();
