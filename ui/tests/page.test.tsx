// @vitest-environment jsdom
import axe from "axe-core";
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterAll, afterEach, expect, test } from "vitest";
import { App } from "../src/parts/App";
import { STORIES, type Story, story, type Told } from "../stories/models";

afterEach(() => act(() => render(null, document.body)));

// Preact runs effects after the next frame, at the latest after 35 ms by a timer that needs the document.
afterAll(() => new Promise((passed) => setTimeout(passed, 40)));

async function show(told: Told): Promise<Story> {
  const shown = story(told);
  document.documentElement.lang = "en";
  document.title = "Weekly planning";
  await act(() => render(<App meeting={shown.meeting} preflight={shown.preflight} />, document.body));
  return shown;
}

function nameOf(element: Element): string {
  const labelled = element.getAttribute("aria-labelledby");
  return (
    element.getAttribute("aria-label") ??
    (labelled && document.getElementById(labelled)?.textContent) ??
    [...element.childNodes]
      .filter((node) => !(node instanceof Element) || node.getAttribute("aria-hidden") !== "true")
      .map((node) => node.textContent)
      .join("")
      .trim()
  );
}

function buttons(name: string): HTMLButtonElement[] {
  return [...document.querySelectorAll("button")].filter((one) => nameOf(one) === name);
}

async function press(name: string): Promise<void> {
  const [button] = buttons(name);
  expect(button, `a button “${name}”`).toBeDefined();
  await act(() => button?.click());
}

function participants(): string[] {
  const list = [...document.querySelectorAll("ul")].find((one) => nameOf(one) === "Participants");
  return [...(list?.children ?? [])].map((one) => one.textContent ?? "");
}

test.each(Object.keys(STORIES))("axe finds nothing serious: %s", async (name) => {
  await show(STORIES[name] ?? { phase: "over" });
  // jsdom lays nothing out, so colours are looked at elsewhere.
  const { violations } = await axe.run(document, { rules: { "color-contrast": { enabled: false } } });
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
});

test("the preflight has the name, Join and the way in by phone", async () => {
  const { did } = await show({ phase: "preflight" });
  const label = [...document.querySelectorAll("label")].find((one) => one.textContent?.includes("Your name"));
  expect(label?.querySelector("input")?.value).toBe("Grace");
  await press("Join");
  expect(did).toEqual(["join"]);
  expect(document.body.textContent).toContain("481 516 234");
  expect(document.body.textContent).toContain("274 113");
  expect(document.body.textContent).toContain("sip:481516234@pbx.example.com");
});

test("a failure is said with its fix, and can be tried again", async () => {
  const { did } = await show(STORIES.denied ?? { phase: "over" });
  expect(document.querySelector("[role=alert]")?.textContent).toContain("may not use your microphone");
  await press("Try again");
  expect(did).toEqual(["allow"]);
});

test("everybody is listed, with what they come by and how they are", async () => {
  await show({ phase: "meeting" });
  const rows = participants();
  expect(rows).toHaveLength(5);
  expect(rows[0]).toContain("Grace");
  expect(rows[0]).toContain("you");
  expect(rows.find((row) => row.includes("0142"))).toMatch(/By phone.*speaking/);
  expect(rows.find((row) => row.includes("0199"))).toContain("Muted");
});

test("the quality is behind the dot, in words when bad", async () => {
  await show({ phase: "meeting" });
  await press("Connection of ••• 0199: poor");
  expect(document.body.textContent).toContain("much of the sound is lost");
  expect(document.body.textContent).toContain("8.1 %");
  expect(document.body.textContent).toContain("620 ms");
});

test("M mutes wherever the focus is, except where letters are typed", async () => {
  const { did } = await show({ phase: "meeting" });
  const key = (target: EventTarget, more = {}) =>
    act(() => void target.dispatchEvent(new KeyboardEvent("keydown", { key: "m", bubbles: true, ...more })));
  await key(document.body);
  expect(did).toEqual(["mute"]);
  expect(buttons("Unmute")).toHaveLength(1);
  await key(document.body, { ctrlKey: true });
  const select = document.querySelector("select");
  if (select) await key(select);
  expect(did).toEqual(["mute"]);
});

test("a guest has own switches only", async () => {
  const { did } = await show({ phase: "meeting" });
  await press("Mute");
  await press("Raise hand");
  await press("Leave");
  expect(did).toEqual(["mute", "hand", "leave"]);
  for (const name of ["Admit", "Admit all", "Lock"]) expect(buttons(name)).toHaveLength(0);
});

test("a host admits one or all, mutes, removes, locks", async () => {
  const { did } = await show(STORIES.host ?? { phase: "over" });
  expect(buttons("Admit")).toHaveLength(2);
  await press("Admit");
  await press("Admit all");
  await press("Lock");
  await press("More for Grace");
  await press("Mute Grace");
  await press("Remove Grace");
  expect(did).toEqual(["admit 8", "admit_all", "lock", "mute_other 3", "remove 3"]);
});

test("the lobby says who decides, and names nobody", async () => {
  await show({ phase: "lobby" });
  expect(document.body.textContent).toContain("The host will let you in");
  expect(participants()).toEqual([]);
});
