import { describe, expect, test } from "vitest";
import { Path } from "../src/path";

/** A path over which sound came until `now_ms`. */
function heard(until_ms: number): Path {
  const path = new Path();
  for (let now_ms = 0; now_ms <= until_ms; now_ms += 500) path.count(now_ms / 20 + 1, now_ms);
  return path;
}

describe("the path of the sound", () => {
  test("is well while packets come, and before the first", () => {
    expect(new Path().broken(60_000)).toBe(false);
    const path = heard(5_000);
    expect(path.broken(5_500)).toBe(false);
    expect(path.due(5_500)).toBe(false);
  });

  test("is broken within a second of silence, and people are told of longer ones", () => {
    const path = heard(5_000);
    path.count(251, 5_500);
    path.count(251, 6_000);
    expect(path.broken(6_000)).toBe(true);
    expect(path.noticed(6_000)).toBe(false);
    expect(path.noticed(7_000)).toBe(true);
    path.count(252, 7_500);
    expect(path.broken(7_500)).toBe(false);
  });

  test("is broken when ICE says so, whatever else came", () => {
    const path = heard(5_000);
    path.ice("disconnected");
    expect(path.broken(5_000) && path.noticed(5_000)).toBe(true);
    path.ice("connected");
    expect(path.broken(5_000)).toBe(false);
  });

  test("is looked for again while it stays broken, less often after each try", () => {
    const path = heard(0);
    const tries: number[] = [];
    for (let now_ms = 0; now_ms <= 60_000; now_ms += 500) {
      if (!path.due(now_ms)) continue;
      tries.push(now_ms);
      path.tried(now_ms);
    }
    expect(tries).toEqual([1_000, 4_000, 10_000, 22_000, 34_000, 46_000, 58_000]);
    path.count(99, 60_500);
    expect(path.due(60_500)).toBe(false);
    expect(path.due(61_500)).toBe(true);
  });
});
