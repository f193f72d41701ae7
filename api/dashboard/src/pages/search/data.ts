import { address, getJson, type View } from "../../api/client";
import type { ArmTable } from "../../state/arm-table";
import type { RoundMark } from "../../state/replay";

export type Job = View<"JobView">;

export const SERIES_FIELDS = ["index", "reward", "clean_accuracy", "attacked_accuracy", "fidelity"] as const;
export type SeriesField = (typeof SERIES_FIELDS)[number];
export const MOST_POINTS = 2000;

export interface SeriesData {
  readonly columns: Readonly<Record<SeriesField, readonly (number | null)[]>>;
  readonly points: number;
  readonly points_total: number;
  readonly thinned: boolean;
}

export interface RoundData {
  readonly samples: number;
  readonly rounds: readonly { readonly round: number; readonly samples: number; readonly abandoned: readonly unknown[] }[];
}

export interface HistoryOperation {
  readonly operation: string;
  readonly position: number;
  readonly pulls: readonly number[];
  readonly mean: readonly (number | null)[];
  readonly lower: readonly (number | null)[];
  readonly upper: readonly (number | null)[];
  readonly abandoned_round: number | null;
}

export interface HistoryData {
  readonly at: readonly number[];
  readonly operations: readonly HistoryOperation[];
}

export interface ArmPage {
  readonly items: readonly {
    readonly operation: string;
    readonly pulls: number;
    readonly mean: number | null;
    readonly lower: number | null;
    readonly upper: number | null;
    readonly abandoned_round: number | null;
  }[];
}

const root = "/v1/searches/{id}";

export const paths = {
  job: (id: string) => address(root, { id }),
  table: (id: string, at: number | null) => address(`${root}/arms/table`, { id }, { at }),
  arms: (id: string, at: number, cell: string, edge: string) => address(`${root}/arms`, { id }, { at, cell, edge }),
  history: (id: string, cell: string, edge: string) => address(`${root}/arms/history`, { id }, { cell, edge, points: 500 }),
  rounds: (id: string) => address(`${root}/rounds`, { id }),
  series: (id: string, format: "json" | "csv" = "json") =>
    address(
      `${root}/series`,
      { id },
      { fields: SERIES_FIELDS.join(","), points: MOST_POINTS, ...(format === "csv" ? { format } : {}) },
    ),
  samples: (id: string, cursor: string | null) => address(`${root}/samples`, { id }, { limit: 20, cursor }),
  events: (id: string, after: string | null, kinds: readonly string[]) =>
    address(`${root}/events`, { id }, { limit: 100, cursor: after, kind: kinds }),
  logs: (id: string, attempt: number | null) => address(`${root}/logs`, { id }, { tail: 500, attempt }),
  stream: (id: string) => address(`${root}/stream`, { id }),
  trainings: (id: string) => address("/v1/trainings", {}, { parent: id, limit: 20 }),
  action: (id: string, name: string) => address(`${root}/${name}`, { id }),
  sampleDiagram: (id: string, index: number, theme: string) =>
    address(`${root}/samples/{index}/diagram.svg`, { id, index }, { theme }),
  leaderDiagram: (id: string, at: number | null, theme: string) => address(`${root}/leader/diagram.svg`, { id }, { at, theme }),
};

export const load = {
  job: (id: string, signal?: AbortSignal) => getJson<Job>(paths.job(id), signal),
  table: (id: string, at: number | null = null) => getJson<ArmTable>(paths.table(id, at)),
  arms: (id: string, at: number, cell: string, edge: string) => getJson<ArmPage>(paths.arms(id, at, cell, edge)),
  series: (id: string) => getJson<SeriesData>(paths.series(id)),
  history: (id: string, cell: string, edge: string) => getJson<HistoryData>(paths.history(id, cell, edge)),
  rounds: async (id: string): Promise<RoundMark[]> => {
    const told = await getJson<RoundData>(paths.rounds(id));
    return told.rounds.map((one) => ({ round: one.round, samples: one.samples, dropped: one.abandoned.length }));
  },
};

/** What a search trades against its reward, by name. */
export function tradedOf(spec: Job["spec"] | undefined): readonly string[] {
  const names = spec?.objectives;
  return Array.isArray(names) ? names.map(String) : [];
}
