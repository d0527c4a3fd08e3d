import { showAccount } from "./account.js";
import { element, isClass } from "./picture.js";
import { Live, connectBoxesSwitch } from "./tiles.js";

const name = decodeURIComponent(location.pathname.split("/").pop());
const live = new Live(document.getElementById("wall"), name);

document.title = `Argus · ${name}`;
document.getElementById("title").textContent = name;
document.getElementById("history").href = `/search?camera=${encodeURIComponent(name)}`;

// Where a detection is in the frame, in words.
function describe(found, frame) {
  const parts = [isClass(found, frame) ? "whole frame" : found.box.map((edge) => Math.round(edge)).join(", ")];
  if (found.angle !== undefined) parts.push(`turned ${Math.round((180 * found.angle) / Math.PI)}°`);
  else if (found.polygon) parts.push(`outline of ${found.polygon.length} points`);
  if (found.keypoints) parts.push(`${found.keypoints.length} keypoints`);
  return parts.join(" · ");
}

function row(result, found, frame) {
  const made = element("tr");
  const cells = [result.model, found.label, found.score.toFixed(2), describe(found, frame), result.model_version];
  for (const text of cells) made.append(element("td", "", text));
  return made;
}

live.onUpdate = () => {
  const frame = live.tiles.get(name)?.camera.frame;
  const rows = frame?.results.flatMap((result) => result.detections.map((found) => row(result, found, frame))) ?? [];
  document.getElementById("detections").replaceChildren(...rows);
  const carried = frame?.results.filter((result) => result.inference) ?? [];
  const lines = carried.map((result) => element("li", "", `${result.model}: ${result.inference.text}`));
  document.getElementById("carried").replaceChildren(...lines);
};
connectBoxesSwitch();
live.run();
showAccount();
