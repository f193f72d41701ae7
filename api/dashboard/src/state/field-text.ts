import type { Json } from "./json";
import type { Field } from "./schema";

/** Read what was typed into a field: undefined where it is blank; what is no value of the kind stays the text that it is. */
export function typed(field: Field, text: string): Json | undefined {
  const plain = text.trim();
  if (field.kind === "text") return text === "" ? undefined : text;
  if (plain === "") return undefined;
  if (field.kind === "list") {
    const item = field.item;
    if (plain === "[]") return [];
    return plain.split(",").map((part) => (item ? (typed(item, part.trim()) ?? "") : part.trim()));
  }
  if (field.isNullable && /^(null|none)$/i.test(plain)) return null;
  if (field.kind === "integer" || field.kind === "number") return numberIn(plain) ?? plain;
  return plain;
}

/** Read a number or a ratio of two, such as 8/255; null where it is none. */
function numberIn(text: string): number | null {
  const parts = text.replace(/^\u2212/, "-").split("/");
  const isNumber = parts.length < 3 && parts.every((part) => /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(part));
  if (!isNumber) return null;
  const value = Number(parts[0]) / (parts.length > 1 ? Number(parts[1]) : 1);
  return Number.isFinite(value) ? value : null;
}

/** Return a value as it is typed. */
export function shown(value: Json | undefined): string {
  if (value === undefined) return "";
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.map((entry: Json) => shown(entry)).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}
