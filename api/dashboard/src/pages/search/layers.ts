import { isObject, type Json } from "../../state/json";

const PICTURED = 2; // cells of one edge that a small picture still shows readably

/** The layers of an architecture whose cells have one edge each, as cell and operation; null where a picture tells more. */
export function layersOf(genotype: Readonly<Record<string, unknown>>): readonly (readonly [string, string])[] | null {
  const cells = genotype.cells as Json | undefined;
  if (!isObject(cells) || Object.keys(cells).length <= PICTURED) return null;
  const layers = Object.entries(cells).map(([cell, edges]) => {
    const operations = isObject(edges) ? Object.values(edges) : [];
    return operations.length === 1 ? ([cell, String(operations[0])] as const) : null;
  });
  return layers.every((layer) => layer !== null) ? layers : null;
}
