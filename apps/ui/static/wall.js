import { showAccount } from "./account.js";
import { Live, connectBoxesSwitch } from "./tiles.js";

const wall = document.getElementById("wall");
const filter = document.getElementById("filter");
const size = document.getElementById("size");
const live = new Live(wall);

function applyFilter() {
  const wanted = filter.value.trim().toLowerCase();
  for (const tile of live.tiles.values()) tile.root.hidden = !tile.name.includes(wanted);
}

function applySize() {
  document.documentElement.style.setProperty("--tile", `${size.value}px`);
  localStorage.setItem("size", size.value);
}

size.value = localStorage.getItem("size") ?? size.value;
size.addEventListener("input", applySize);
filter.addEventListener("input", applyFilter);
live.onUpdate = (update) => {
  applyFilter();
  document.getElementById("room").textContent = update.room ?? "";
  document.getElementById("disks").textContent = update.disks ?? "";
  document.getElementById("not-searchable").textContent = update.not_searchable ?? "";
  document.getElementById("certificates").textContent = update.certificates ?? "";
  document.getElementById("acme").textContent = update.acme ?? "";
};
applySize();
connectBoxesSwitch();
live.run();
showAccount();
