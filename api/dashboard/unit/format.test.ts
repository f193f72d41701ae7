import { describe, expect, it } from "vitest";
import { age, amount, bytes, count, fixed, MINUS, NONE, ordinal, percent, seconds, signed } from "../src/ui/format";

describe("figures", () => {
  it("have a true minus sign, and none before a zero", () => {
    expect(fixed(-1.25, 1)).toBe(`${MINUS}1.3`);
    expect(fixed(-0.04, 1)).toBe("0.0");
    expect(signed(0.04, 1)).toBe("0.0");
    expect(signed(2, 0)).toBe("+2");
    expect(count(-1234567)).toBe(`${MINUS}1\u202f234\u202f567`);
  });

  it("that are not there are a dash", () => {
    expect([fixed(null), percent(undefined), bytes(Number.NaN), seconds(null), amount(null), age(null, 0)]).toEqual(
      Array(6).fill(NONE),
    );
  });

  it("carry their unit", () => {
    expect(percent(0.43271)).toBe("43.3 %");
    expect(bytes(999)).toBe("999 B");
    expect(bytes(203_240)).toBe("203 kB");
    expect(bytes(999_999)).toBe("1.00 MB");
    expect(amount(1_234_000)).toBe("1.23 M");
  });
});

describe("times", () => {
  it.each([
    [0.44, "0.4 s"],
    [9.99, "10 s"],
    [59.6, "1 min"],
    [130, "2 min 10 s"],
    [3599.6, "1 h"],
    [11_100, "3 h 5 min"],
    [190_000, "2 d 4 h"],
  ])("%s s is %s", (given, told) => {
    expect(seconds(given)).toBe(told);
  });

  it("ages are one unit, never negative", () => {
    expect(age(1000, 0)).toBe("just now");
    expect(age("2026-01-01T00:00:00Z", Date.parse("2026-01-01T01:59:00Z"))).toBe("1 h");
  });

  it("places are ordinals", () => {
    expect([1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(ordinal)).toEqual([
      "1st",
      "2nd",
      "3rd",
      "4th",
      "11th",
      "12th",
      "13th",
      "21st",
      "102nd",
      "111th",
    ]);
  });
});
