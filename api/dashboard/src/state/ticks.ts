import type { Json } from "./json";

/** Return a list with a choice ticked or not: what was there keeps its order, so that nothing changes but the one; empty: undefined. */
export function ticked(given: readonly Json[], choice: Json, isOn: boolean): readonly Json[] | undefined {
  const others = given.filter((entry) => entry !== choice);
  const next = isOn ? [...others, choice] : others;
  return next.length > 0 ? next : undefined;
}
