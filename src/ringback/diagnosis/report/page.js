"use strict";
// The filter of the table of calls. Without this script the table is whole.
const rows = [...document.querySelectorAll(".overview tbody tr")];
const field = document.querySelector("#filter");
const matching = document.querySelector("#matching");
document.querySelector(".filter").hidden = false;
document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  matching.textContent = words.length ? `${shown} of ${rows.length}` : "";
});
