import { expect, test } from "vitest";
import { clock, DAYS, isOpen, minutes, painted, type Span, spansOf, weekOf } from "../src/console/week";

const OFFICE: Span[] = [
  { days: ["mon", "tue", "wed", "thu"], from: "09:00", to: "17:30" },
  { days: ["fri"], from: "09:00", to: "15:00" },
];

test("clock times and minutes are the same", () => {
  for (const text of ["00:00", "09:05", "17:30", "24:00"]) expect(clock(minutes(text))).toBe(text);
});

test("spans come back as they were", () => {
  expect(spansOf(weekOf(OFFICE))).toEqual(OFFICE);
});

test("a night goes on into the next day, Sunday's into Monday", () => {
  const week = weekOf([{ days: ["fri", "sun"], from: "22:00", to: "06:00" }]);
  expect(isOpen(week, "fri", minutes("23:00"))).toBe(true);
  expect(isOpen(week, "sat", minutes("05:59"))).toBe(true);
  expect(isOpen(week, "sat", minutes("06:00"))).toBe(false);
  expect(isOpen(week, "mon", minutes("05:00"))).toBe(true);
  expect(isOpen(week, "sun", minutes("05:00"))).toBe(false);
});

test("an end at midnight belongs to the day alone", () => {
  const week = weekOf([{ days: ["sat"], from: "20:00", to: "00:00" }]);
  expect(week.sat).toEqual([{ from: 1200, to: 1440 }]);
  expect(week.sun).toEqual([]);
});

test("pieces that touch are one", () => {
  const week = weekOf([
    { days: ["mon"], from: "09:00", to: "12:00" },
    { days: ["mon"], from: "12:00", to: "13:00" },
  ]);
  expect(week.mon).toEqual([{ from: 540, to: 780 }]);
});

test("painting opens and closes pieces of one day, to the minute of what was there", () => {
  const week = weekOf([{ days: ["mon"], from: "09:15", to: "17:45" }]);
  const lunch = painted(week, "mon", { from: minutes("12:00"), to: minutes("13:00") }, false);
  expect(spansOf(lunch)).toEqual([
    { days: ["mon"], from: "09:15", to: "12:00" },
    { days: ["mon"], from: "13:00", to: "17:45" },
  ]);
  const again = painted(lunch, "mon", { from: minutes("12:00"), to: minutes("13:00") }, true);
  expect(again).toEqual(week);
  expect(DAYS.filter((day) => again[day].length)).toEqual(["mon"]);
});
