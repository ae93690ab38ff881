// With a token in the fragment, asks for the meeting's name and PIN; the token leaves the address bar at once.
"use strict";
const token = location.hash.slice(1);
if (token) {
  history.replaceState(null, "", location.pathname);
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  fetch(`${location.pathname}/welcome`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
  }).then(async (answer) => {
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    show("name", body.name);
    show("role", body.role === "host" ? "You are the host." : "You are invited.");
    show("pin", body.pin.replace(/(...)(?=.)/g, "$1 "));
    document.getElementById("pin").hidden = false;
    document.getElementById("no-pin").hidden = true;
  }).catch((problem) => show("problem", problem.message));
}
