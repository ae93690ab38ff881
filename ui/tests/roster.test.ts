import { describe, expect, test } from "vitest";
import { announcements, EMPTY, names, pictureOf, present } from "../src/roster";

const one = (id: string, more: object = {}) => ({ id, name: id, role: "guest", state: "in", ...more });
const picture = (participants: object[], more: object = {}) =>
  pictureOf({ you: { id: "me", state: "in" }, participants, ...more });

describe("the picture", () => {
  test("keeps what the server says", () => {
    const quality = { received: { lost_percent: 1, jitter_ms: 2 }, sent: {}, round_trip_ms: 30 };
    const [ada] = picture([one("ada", { role: "host", muted: true, via: "browser", quality })]).participants;
    expect(ada).toMatchObject({ role: "host", muted: true, hand: false, via: "browser" });
    expect(ada?.quality?.received.lost_percent).toBe(1);
    expect(ada?.quality?.sent.jitter_ms).toBeNull();
  });

  test.each([null, 3, "state", [], { participants: 7 }, { participants: [null, {}] }])(
    "of oddities (%j) is empty",
    (odd) => expect(pictureOf(odd)).toEqual(EMPTY),
  );

  test("knows how we are", () => {
    const { you } = pictureOf({ you: { id: null, role: "host", state: "outside", why: "removed" } });
    expect(you).toEqual({
      id: "",
      role: "host",
      state: "outside",
      muted: false,
      hand: false,
      why: "removed",
    });
  });

  test("shows callers without a name by their number", () => {
    expect(picture([one("p", { name: "", number: "••01" })]).participants[0]?.name).toBe("••01");
  });

  test("shows us first, then hands, hosts, others as they came", () => {
    const all = picture([
      one("a"),
      one("h", { role: "host" }),
      one("b", { hand: true }),
      one("c"),
      one("me"),
    ]);
    expect(present(all).map(({ id }) => id)).toEqual(["me", "b", "h", "a", "c"]);
  });

  test("keeps the lobby apart", () => {
    const all = picture([one("me"), one("w", { state: "lobby" })]);
    expect(present(all).map(({ id }) => id)).toEqual(["me"]);
  });
});

describe("announcements", () => {
  const alone = picture([one("me")]);
  test("say nothing of who was there before us", () => expect(announcements(null, alone)).toEqual([]));
  test("say who joined and left", () => {
    const both = picture([one("me"), one("Ada")]);
    expect(announcements(alone, both)).toEqual(["Ada joined."]);
    expect(announcements(both, alone)).toEqual(["Ada left."]);
  });
  test("say when we are let in, without naming everybody as new", () => {
    const lobby = picture([], { you: { id: "me", state: "lobby" } });
    expect(announcements(lobby, picture([one("me"), one("Ada")]))).toEqual(["The host let you in."]);
  });
  test("say who waits, who raises a hand, and that the door is locked", () => {
    const before = picture([one("me"), one("Ada")]);
    const after = picture([one("me"), one("Ada", { hand: true })], { locked: true, waiting: [one("Bo")] });
    expect(announcements(before, after)).toEqual([
      "Ada raised a hand.",
      "Bo waits in the lobby.",
      "The meeting is locked now.",
    ]);
    expect(announcements(after, after)).toEqual([]);
  });
  test("do not grow with the crowd", () => {
    const crowd = picture(["me", "A", "B", "C", "D"].map((id) => one(id)));
    expect(announcements(alone, crowd)).toEqual(["A, B and 2 others joined."]);
    expect(names([])).toBe("");
  });
});
