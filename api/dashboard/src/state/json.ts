/** JSON as it is read and written; objects keep the order of their keys. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether two values say the same; the order of keys does not count. */
export function isSame(left: Json | undefined, right: Json | undefined): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((entry, place) => isSame(entry, right[place]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && isSame(left[key], right[key]))
  );
}

/** Return what stands at a path such as `training.methods.0.name`; undefined where nothing does. */
export function valueAt(whole: Json | undefined, path: string): Json | undefined {
  let place: Json | undefined = whole;
  for (const part of path === "" ? [] : path.split(".")) {
    if (Array.isArray(place)) place = place[Number(part)];
    else if (isObject(place)) place = Object.hasOwn(place, part) ? place[part] : undefined;
    else return undefined;
  }
  return place;
}

/** Return a copy in which `value` stands at a path, or nothing if it is undefined; a bare name on the way becomes an object. */
export function withValue(whole: Json | undefined, path: string, value: Json | undefined): Json {
  const [head = "", ...rest] = path.split(".");
  const below = rest.join(".");
  if (Array.isArray(whole)) {
    const place = Number(head);
    if (!below && value === undefined) return whole.filter((_, index) => index !== place);
    const next = below ? withValue(whole[place], below, value) : (value as Json);
    return whole.map((entry, index) => (index === place ? next : entry));
  }
  const object: JsonObject = typeof whole === "string" ? { name: whole } : isObject(whole) ? whole : {};
  if (below) return { ...object, [head]: withValue(object[head], below, value) };
  if (value === undefined) return Object.fromEntries(Object.entries(object).filter(([key]) => key !== head));
  return { ...object, [head]: value };
}
