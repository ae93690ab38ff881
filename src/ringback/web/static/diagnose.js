// Uploads a capture, follows its diagnosis, and shows the report in a frame that has no rights.
"use strict";
const element = (id) => document.getElementById(id);
const API = "/api/v1/diagnoses";
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const WORDS = { receiving: "Uploading", waiting: "Waiting for the capture before", reading: "Reading", judging: "Looking for causes" };
let token = "";
let diagnosis = "";
let upload = null;
let shownUntil = 0;

element("zone").textContent = `By the clock of ${zone}.`;

const complain = (text) => { element("problem").textContent = text; };
const show = (id) => {
  for (const one of ["ask", "going", "found"]) element(one).hidden = one !== id;
};
const headers = () => ({ Authorization: `Bearer ${token}` });

async function ask(path, options = {}) {
  const answer = await fetch(API + path, { ...options, headers: headers() });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || `the server answered ${answer.status}`);
  }
  return answer;
}

function progress(stage, done, total) {
  const part = total > 0 ? Math.min(1, done / total) : 0;
  element("what").textContent = WORDS[stage] || stage;
  element("said").textContent = stage === "waiting" ? "It begins by itself." : `${Math.floor(100 * part)} %`;
  element("bar").value = part;
}

function send(file) {
  return new Promise((resolve, reject) => {
    upload = new XMLHttpRequest();
    const query = new URLSearchParams({ time_zone: zone, complaint: element("complaint").value.trim() });
    upload.open("POST", `${API}?${query}`);
    upload.setRequestHeader("Authorization", `Bearer ${token}`);
    upload.setRequestHeader("Content-Type", "application/octet-stream");
    upload.setRequestHeader("X-File-Name", encodeURIComponent(file.name).slice(0, 1000));
    upload.upload.onprogress = (event) => progress("receiving", event.loaded, event.total);
    upload.onload = () => {
      let body = {};
      try { body = JSON.parse(upload.responseText); } catch { /* Told by its status. */ }
      if (upload.status === 202) resolve(body);
      else reject(new Error(body.detail || `the server answered ${upload.status}`));
    };
    upload.onerror = () => reject(new Error("the server cannot be reached; was the capture too large?"));
    upload.onabort = () => reject(new Error("cancelled"));
    upload.send(file);
  });
}

// EventSource sends no token: the stream is read by hand.
async function follow() {
  const reader = (await ask(`/${diagnosis}/events`)).body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").find((line) => line.startsWith("data: "));
      if (!data) continue;
      const state = JSON.parse(data.slice(6));
      if (state.stage === "failed") throw new Error(state.problem);
      if (state.stage === "cancelled") throw new Error("cancelled");
      if (state.stage === "done") return state;
      progress(state.stage, state.done, state.total);
    }
  }
  throw new Error("the server went away");
}

async function showReport(state) {
  const html = await (await ask(`/${diagnosis}/report`)).text();
  shownUntil = Date.parse(state.expires_at);
  element("until").textContent = `Kept here until ${new Date(shownUntil).toLocaleTimeString()}.`;
  show("found");
  const frame = document.createElement("iframe");
  frame.title = "Report";
  frame.sandbox = "allow-scripts";
  frame.srcdoc = html;
  element("report").replaceChildren(frame);
  element("save-report").focus();
}

async function save(path, type, name) {
  const blob = new Blob([await (await ask(path)).blob()], { type });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function remove() {
  if (diagnosis) await ask(`/${diagnosis}`, { method: "DELETE" }).catch(() => {});
  diagnosis = "";
}

function again(text = "") {
  element("report").replaceChildren();
  show("ask");
  complain(text);
  element("file").focus();
}

function chosen(file) {
  element("chosen").textContent = file ? file.name : "Drop a capture here, or choose a file";
}

element("file").addEventListener("change", () => chosen(element("file").files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  element("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) {
      element("file").files = event.dataTransfer.files;
      chosen(element("file").files[0]);
    }
  });
}

element("form").addEventListener("submit", async (submitted) => {
  submitted.preventDefault();
  const file = element("file").files[0];
  if (!file) {
    complain("Choose a capture first.");
    element("file").focus();
    return;
  }
  if (file.size > 1e6 * Number(element("ask").dataset.limitMb)) {
    complain(`It is larger than ${element("ask").dataset.limitMb} MB; take the command line: ringback diagnose`);
    return;
  }
  complain("");
  token = element("token").value.trim();
  progress("receiving", 0, 1);
  show("going");
  element("what").focus();
  try {
    diagnosis = (await send(file)).id;
    await showReport(await follow());
  } catch (problem) {
    await remove();
    again(problem.message === "cancelled" ? "" : problem.message);
  }
});
element("cancel").addEventListener("click", () => {
  if (upload) upload.abort();
  remove();
});
element("save-report").addEventListener("click", () => save(`/${diagnosis}/report`, "text/html", "diagnosis.html"));
element("save-result").addEventListener("click", () => save(`/${diagnosis}/result`, "application/json", "diagnosis.json"));
element("again").addEventListener("click", async () => {
  await remove();
  again();
});
