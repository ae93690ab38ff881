// Shows one state of the page, named in the fragment: /stories/#host

import "../src/style.css";
import { render } from "preact";
import { App } from "../src/parts/App";
import { STORIES, story } from "./models";

const told = STORIES[location.hash.slice(1)] ?? { phase: "preflight" };
const { meeting, preflight } = story(told);
render(<App meeting={meeting} preflight={preflight} />, document.body);
addEventListener("hashchange", () => location.reload());
