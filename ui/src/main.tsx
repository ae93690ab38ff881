// Starts the page: reads the link, then takes its token out of the address bar.

import "./style.css";
import { render } from "preact";
import { Meeting } from "./meeting";
import * as memory from "./memory";
import { App } from "./parts/App";
import { Preflight } from "./preflight";

const root = document.getElementById("app");
if (root) {
  const { number = "", dialIn = "" } = root.dataset;
  const fragment = location.hash.slice(1);
  if (fragment) {
    memory.token.set(number, fragment);
    history.replaceState(null, "", location.pathname);
  }
  const player = new Audio();
  player.autoplay = true;
  const preflight = new Preflight(player);
  const meeting = new Meeting(number, fragment || memory.token.get(number), dialIn, player, preflight);
  // Another link to the same page changes only the fragment, and would otherwise do nothing.
  addEventListener("hashchange", () => location.reload());
  root.replaceChildren();
  render(<App meeting={meeting} preflight={preflight} />, root);
  meeting.open();
}
