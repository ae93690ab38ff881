import { describe, expect, test } from "vitest";
import { delay_ms, GIVE_UP_MS, type Link, started, step } from "../src/reconnect";
import { UNREACHABLE } from "../src/trouble";

const up: Link = { state: "up" };
const failed = { kind: "failed", trouble: UNREACHABLE, final: false } as const;

function waiting(link: Link) {
  if (link.state !== "waiting") throw new Error(`is ${link.state}`);
  return link;
}

describe("the first try", () => {
  test("comes up", () => {
    expect(step(started(0), { kind: "connected" }, 900, 0)).toEqual(up);
  });
  test("says at once what is wrong, and tries nothing behind the person's back", () => {
    expect(step(started(0), failed, 900, 0)).toEqual({ state: "over", trouble: UNREACHABLE });
  });
});

describe("a lost call", () => {
  test("is tried again soon, then less often, then not at all", () => {
    let link = step(up, { kind: "lost" }, 1_000, 0.5);
    let now = 1_000;
    const delays: number[] = [];
    while (link.state === "waiting") {
      delays.push(link.retry_at_ms - now);
      now = link.retry_at_ms;
      expect(step(link, { kind: "tick" }, now - 1, 0.5)).toBe(link);
      link = step(link, { kind: "tick" }, now, 0.5);
      expect(link.state).toBe("connecting");
      link = step(link, failed, now, 0.5);
    }
    expect(delays[0]).toBeLessThan(1_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(8_000);
    expect(now).toBeGreaterThan(GIVE_UP_MS);
    expect(link).toEqual({ state: "over", trouble: UNREACHABLE });
  });

  test("comes back, and starts afresh when it is lost again", () => {
    let link = waiting(step(up, { kind: "lost" }, 0, 0));
    const trying = step(link, { kind: "tick" }, link.retry_at_ms, 0);
    expect(step(trying, { kind: "connected" }, 600, 0)).toEqual(up);
    link = waiting(step(up, { kind: "lost" }, 9_000, 0));
    expect(link).toMatchObject({ attempt: 1, since_ms: 9_000 });
  });

  test("does not wait once the machine is online again", () => {
    const link = step(up, { kind: "lost" }, 0, 0);
    expect(step(link, { kind: "hurry" }, 1, 0)).toMatchObject({ state: "connecting", attempt: 1 });
  });

  test("stays lost when no try can help", () => {
    const trying = step(step(up, { kind: "lost" }, 0, 0), { kind: "hurry" }, 1, 0);
    expect(step(trying, { ...failed, final: true }, 2, 0).state).toBe("over");
  });
});

test("who left is not brought back", () => {
  const link = step(step(up, { kind: "lost" }, 0, 0), { kind: "left" }, 1, 0);
  expect(link).toEqual({ state: "over", trouble: null });
  expect(step(link, { kind: "hurry" }, 2, 0)).toBe(link);
  expect(step(link, { kind: "tick" }, 99_999, 0)).toBe(link);
});

test("many pages do not come back in one moment", () => {
  for (let attempt = 1; attempt < 20; attempt += 1) {
    expect(delay_ms(attempt, 0.999)).toBeGreaterThan(1.9 * delay_ms(attempt, 0));
  }
});
