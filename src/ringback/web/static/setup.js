// Posts the password with the token from the fragment, which leaves the address bar at once.
"use strict";
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
const element = (id) => document.getElementById(id);
const complain = (text) => { element("problem").textContent = text; };
if (!token) complain("This address is not complete: open the whole link.");
element("form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const password = element("password").value;
  if (password !== element("again").value) {
    complain("The two passwords differ.");
    return;
  }
  complain("");
  element("save").disabled = true;
  try {
    const answer = await fetch("/setup", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, password }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail);
    element("who").textContent = body.name;
    element("choose").hidden = true;
    element("done").hidden = false;
  } catch (problem) {
    complain(problem.message);
  } finally {
    element("save").disabled = false;
  }
});
