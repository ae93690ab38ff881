// @vitest-environment jsdom
import { expect, test } from "vitest";
import { ProblemError } from "../src/api";
import { dialString, whyNot } from "../src/console/phone/calls";
import { parts } from "../src/console/route";
import { complaint, type Field, fieldsOf, fresh, type Schema, slug } from "../src/console/schema";
import { byField } from "../src/console/server";

const TARGET = { type: "string", pattern: "^((extension|group):[^\\s:]{1,40}|busy|hangup)?$", default: "" };
const MENU: Schema = {
  $ref: "#/$defs/Menu",
  $defs: {
    Menu: {
      type: "object",
      properties: {
        name: { type: "string" },
        title: { type: "string", maxLength: 80, default: "" },
        words: { type: "string", maxLength: 1000 },
        keys: { type: "object", additionalProperties: TARGET },
        members: { type: "array", items: { type: "string", pattern: "^[1-9][0-9]{1,5}$" }, default: [] },
        trunks: { type: "array", items: { type: "string" } },
        spans: { type: "array", items: { $ref: "#/$defs/Span" }, default: [] },
        holidays: { type: "array", items: { properties: { date: { type: "string" } } }, default: [] },
        tries: { type: "integer", minimum: 1, maximum: 10, default: 3 },
        strategy: { enum: ["all", "in-order"], default: "all" },
        dial_extensions: { type: "boolean", default: false },
        hours: { type: "string", default: "" },
        otherwise: TARGET,
      },
      required: ["name", "words", "keys", "trunks"],
    },
    Span: { type: "object", properties: { days: { type: "array", items: { enum: ["mon", "tue"] } } } },
  },
};

test("each field of a schema gets its editor", () => {
  const kinds = Object.fromEntries(
    fieldsOf(MENU).map(({ name, kind, of }) => [name, [kind, ...of].join(" ")]),
  );
  expect(kinds).toEqual({
    title: "text",
    words: "long-text",
    keys: "keys",
    members: "references extension",
    trunks: "references trunk",
    spans: "week",
    holidays: "holidays",
    tries: "number",
    strategy: "choice",
    dial_extensions: "switch",
    hours: "reference hours",
    otherwise: "target",
  });
});

test("a new value has the defaults, of its own", () => {
  const one = fresh(MENU);
  expect(one).toMatchObject({
    title: "",
    keys: {},
    members: [],
    tries: 3,
    strategy: "all",
    dial_extensions: false,
  });
  (one.members as string[]).push("1001");
  expect(fresh(MENU).members).toEqual([]);
});

test("what is wrong is said before anybody is asked", () => {
  const field = (name: string) => fieldsOf(MENU).find((one) => one.name === name) as Field;
  expect(complaint(field("tries"), 3)).toBe("");
  expect(complaint(field("tries"), 11)).toBe("At most 10.");
  expect(complaint(field("tries"), 0)).toBe("At least 1.");
  expect(complaint(field("words"), "")).toBe("This is needed.");
  expect(complaint(field("title"), "")).toBe("");
  expect(complaint(field("title"), "x".repeat(81))).toBe("At most 80 characters.");
  expect(complaint(field("trunks"), [])).toBe("At least one is needed.");
});

test("a refusal is shown at its fields, and what fits none at the end", () => {
  const refused = new ProblemError(422, "no", [
    { field: "members[2]", message: "there is no extension 1009" },
    { field: "spans.0.to", message: "this is no time" },
    { field: "other", message: "is not known" },
  ]);
  expect(byField(refused, ["members", "spans"])).toEqual({
    members: "There is no extension 1009.",
    spans: "This is no time.",
    "": "Other: is not known.",
  });
  const inWords = new ProblemError(422, "name: must not be empty; ring_s: must be at least 5");
  expect(byField(inWords, ["name", "ring_s"])).toEqual({
    name: "Must not be empty.",
    ring_s: "Must be at least 5.",
  });
  expect(byField(new ProblemError(403, "the role user lacks it"), ["name"])).toEqual({
    "": "The role user lacks it.",
  });
});

test("names follow from titles", () => {
  expect(slug("Sales & Support")).toBe("sales-support");
  expect(slug("Über uns")).toBe("uber-uns");
  expect(slug("  ")).toBe("");
});

test("addresses are taken apart", () => {
  expect(parts("/console/plan/group/sales%20x")).toEqual(["plan", "group", "sales x"]);
  expect(parts("/console")).toEqual([]);
});

test("what people type becomes what is dialled", () => {
  expect(dialString("+1 (415) 555-0100")).toBe("+14155550100");
  expect(dialString(" 1001 ")).toBe("1001");
  expect(dialString("*72 1002")).toBe("*721002");
  expect(dialString("")).toBe("");
});

test("why a call did not come about is said in words", () => {
  expect(whyNot(486, "Busy")).toBe("Busy");
  expect(whyNot(487, "")).toBe("");
  expect(whyNot(499, "Odd")).toContain("Odd");
});
