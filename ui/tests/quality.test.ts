import { expect, test } from "vitest";
import { complaints, figure, grade, type Quality } from "../src/quality";

const line = (lost: number | null, jitter: number | null, round_trip_ms: number | null = 40): Quality => ({
  received: { lost_percent: lost, jitter_ms: jitter },
  sent: { lost_percent: 0, jitter_ms: 2 },
  round_trip_ms,
});
const nothing: Quality = {
  received: { lost_percent: null, jitter_ms: null },
  sent: { lost_percent: null, jitter_ms: null },
  round_trip_ms: null,
};

test.each([
  [line(0, 3), "good"],
  [line(0.99, 29), "good"],
  [line(1, 3), "fair"],
  [line(0, 35), "fair"],
  [line(5, 3), "poor"],
  [line(0, 60), "poor"],
  [line(0, 3, 300), "fair"],
  [line(0, 3, 900), "poor"],
  [line(null, null, null), "good"],
  [nothing, "unknown"],
] as const)("the worst figure decides: %j is %s", (quality, expected) => {
  expect(grade(quality)).toBe(expected);
});

test("a good line needs no words", () => {
  expect(complaints(line(0, 3), "you")).toEqual([]);
  expect(complaints(nothing, "Ada")).toEqual([]);
});

test("a bad line is said in words, with its direction", () => {
  expect(complaints(line(7, 3), "Ada")).toEqual([
    "We hear Ada with gaps: much of the sound is lost on the way.",
  ]);
  const mine = complaints(line(7, 80, 600), "you").join(" ");
  expect(mine).toContain("Others hear you with gaps");
  expect(mine).toContain("bursts");
  expect(mine).toContain("Your line is slow");
  expect(mine).toContain("calling by phone");
});

test("figures carry their unit, and a dash when unknown", () => {
  expect(figure(1.25, "%")).toBe("1.3 %");
  expect(figure(12.4, "ms")).toBe("12 ms");
  expect(figure(null, "ms")).toBe("–");
});
