// Starts the console: asks who is there, then shows the page of the address.

import "./console.css";
import { render } from "preact";
import { App } from "./App";
import { prepare } from "./pages";
import { follow, path } from "./route";
import { open } from "./session";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  prepare(path.value);
  follow();
  render(<App />, root);
  open();
}
