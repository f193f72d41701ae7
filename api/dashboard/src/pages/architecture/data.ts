import { address, type View } from "../../api/client";

export type Architecture = View<"ArchitectureView">;
/** Return what an architecture is to its search. */
export function nameOf(one: Pick<Architecture, "rank" | "control">): string {
  return one.control ? `Control (${one.control})` : `Architecture of rank ${one.rank}`;
}

export type Candidate = View<"CandidateView">;

export interface CostRow {
  readonly cell: number | null;
  readonly cell_type: string | null;
  readonly edge: string | null;
  readonly operation: string | null;
  readonly layer: string;
  readonly weight_bits: number;
  readonly parameters: number;
  readonly flops: number;
  readonly bops: number;
  readonly ops: number;
  readonly bytes: number;
}

export interface CCost {
  readonly flash_bytes: number;
  readonly constant_bytes: number;
  readonly record_bytes: number;
  readonly code_bytes: number;
  readonly arena_bytes: number;
  readonly cortex_m4_instructions: number;
}

export interface Cost {
  readonly rows: readonly CostRow[];
  readonly totals: Readonly<Record<string, number>>;
  readonly c: CCost | null;
  readonly c_refused: string | null;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

const root = "/v1/architectures/{id}";

export const paths = {
  one: (id: string) => address(root, { id }),
  cost: (id: string) => address(`${root}/cost`, { id }),
  diagram: (id: string, theme: string, compare: string | null) => address(`${root}/diagram.svg`, { id }, { theme, compare }),
  bundle: (id: string) => address(`${root}/download`, { id }),
  ofSearch: (search: string) => address("/v1/architectures", {}, { search, limit: 100 }),
  candidates: (architecture: string) => address("/v1/candidates", {}, { architecture, limit: 100 }),
};

/** Every edge's operation: `a 0-2` -> `skip`. The genotype has its cells by name, and their edges by name. */
export function operationsOf(genotype: Readonly<Record<string, unknown>>): Map<string, string> {
  const found = new Map<string, string>();
  const cells = genotype.cells as Readonly<Record<string, Readonly<Record<string, string>>>> | undefined;
  for (const [cell, edges] of Object.entries(cells ?? {})) {
    for (const [edge, operation] of Object.entries(edges)) found.set(`${cell} ${edge}`, operation);
  }
  return found;
}

export interface Difference {
  readonly edge: string;
  readonly here: string;
  readonly there: string;
}

export function differences(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): Difference[] {
  const there = operationsOf(b);
  return [...operationsOf(a)]
    .map(([edge, here]) => ({ edge, here, there: there.get(edge) ?? "\u2013" }))
    .filter((one) => one.here !== one.there);
}

export interface CostPart {
  readonly key: string;
  readonly name: string;
  readonly bits1: number;
  readonly bits32: number;
  readonly ops: number;
  readonly parameters: number;
}

/** Sums by cell of the network: bytes of binary and of other weights, and operations. */
export function costByCell(rows: readonly CostRow[]): CostPart[] {
  const parts = new Map<string, CostPart>();
  for (const row of rows) {
    const key = row.cell === null ? row.layer.split(":")[0] || row.layer : `cell ${row.cell}`;
    const name = row.cell === null ? key : `${key} (${row.cell_type ?? ""})`;
    const old = parts.get(key) ?? { key, name, bits1: 0, bits32: 0, ops: 0, parameters: 0 };
    parts.set(key, {
      ...old,
      bits1: old.bits1 + (row.weight_bits === 1 ? row.bytes : 0),
      bits32: old.bits32 + (row.weight_bits === 1 ? 0 : row.bytes),
      ops: old.ops + row.ops,
      parameters: old.parameters + row.parameters,
    });
  }
  return [...parts.values()];
}
