import { expect, it } from "vitest";
import { SseParser } from "../src/live/sse";

const TEXT = ': ping\n\nid: 7\nevent: wave\ndata: {"first": 1}\n\nevent: progress\ndata: {"a":\ndata: 2}\n\nevent: end\n\n';
const MESSAGES = [
  { id: 7, kind: "wave", data: { first: 1 } },
  { id: null, kind: "progress", data: { a: 2 } },
  { id: null, kind: "end", data: null },
];

it("gives the same messages wherever the network cuts them", () => {
  for (let size = 1; size <= TEXT.length; size += 1) {
    const parser = new SseParser();
    const got = [];
    for (let at = 0; at < TEXT.length; at += size) got.push(...parser.push(TEXT.slice(at, at + size)));
    expect(got).toEqual(MESSAGES);
  }
});

it("reads lines that end as on Windows", () => {
  expect(new SseParser().push(TEXT.replaceAll("\n", "\r\n"))).toEqual(MESSAGES);
});

it("keeps text that is no JSON as it is", () => {
  expect(new SseParser().push("data: <b>hi</b>\n\n")).toEqual([{ id: null, kind: "message", data: "<b>hi</b>" }]);
});
