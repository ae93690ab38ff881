import { describe, expect, test } from "vitest";
import { choose } from "../src/devices";
import { loudness } from "../src/level";
import { endingOf } from "../src/meeting";
import { EventParser } from "../src/sse";
import { TimeoutError, within } from "../src/timing";

describe("last time's device", () => {
  const there = [
    { id: "a", label: "Built-in" },
    { id: "b", label: "Headset" },
  ];
  test("is found by its id", () => expect(choose(there, { id: "b", label: "" }).id).toBe("b"));
  test("or by its name when the browser made up new ids", () => {
    expect(choose(there, { id: "old", label: "Headset" })).toEqual({ id: "b", missing: "" });
  });
  test("is named when it is gone, and the default is used", () => {
    expect(choose(there, { id: "old", label: "Jabra 20" })).toEqual({ id: "", missing: "Jabra 20" });
  });
  test("need not exist", () => expect(choose(there, null)).toEqual({ id: "", missing: "" }));
});

describe("server-sent events", () => {
  test("arrive whole, however they were cut", () => {
    const text =
      ': connected\n\nevent: state\ndata: {"a":\ndata: 1}\n\nevent: state\r\ndata:2\r\n\r\ndata: 3';
    for (let size = 1; size < text.length; size += 1) {
      const parser = new EventParser();
      const got = [];
      for (let at = 0; at < text.length; at += size) got.push(...parser.feed(text.slice(at, at + size)));
      expect(got).toEqual([
        { event: "state", data: '{"a":\n1}' },
        { event: "state", data: "2" },
      ]);
    }
  });
});

test("loudness goes from silence to full scale", () => {
  expect(loudness(0)).toBe(0);
  expect(loudness(0.0005)).toBe(0);
  expect(loudness(10 ** (-30 / 20))).toBeCloseTo(0.5);
  expect(loudness(1)).toBe(1);
});

test("nothing is waited for without an end", async () => {
  await expect(within(5, new Promise(() => undefined))).rejects.toThrow(TimeoutError);
  await expect(within(50, Promise.resolve(7))).resolves.toBe(7);
  await expect(within(50, Promise.reject(new Error("no")))).rejects.toThrow("no");
});

test.each([
  ["removed", "The host removed you from the meeting."],
  ["refused", "The host did not let you in."],
  ["ended", "The meeting has ended."],
  ["locked", "The meeting is locked."],
  ["session ended", ""],
  ["", ""],
])("a goodbye of the server in words: %s", (why, words) => {
  expect(endingOf(why)).toBe(words);
});
