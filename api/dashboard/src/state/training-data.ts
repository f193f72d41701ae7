/** What the training page knows of the service's views: only what it shows. */
export interface Run {
  readonly candidate: string;
  readonly seed: number;
  readonly test_accuracy: number;
  readonly validation_accuracy: number;
  readonly attacked: number | null;
}

/** A random architecture, trained to compare with: drawn uniformly, or of about the cost of the search's pick. */
export type ControlKind = "uniform" | "like-cost";

export interface Pair {
  readonly method: string;
  readonly architecture: string;
  readonly search_id: string;
  readonly architecture_rank: number;
  /** Null of a control, which no search scored. */
  readonly architecture_score: number | null;
  readonly control: ControlKind | null;
  readonly seeds: number;
  readonly runs: readonly Run[];
  readonly test_mean: number;
  readonly test_spread: number | null;
  readonly attacked_mean: number | null;
  readonly attacked_spread: number | null;
  readonly balanced_mean: number | null;
  readonly worst_class: string | null;
  readonly worst_class_mean: number | null;
  readonly eps: number | null;
  readonly rank: number;
  readonly ops: number;
  readonly packed_bytes: number;
}

export interface ComparedMethod {
  readonly method: string;
  readonly test_mean: number;
  readonly mean_rank: number;
  readonly score_correlation: number | null;
}

export interface Front {
  readonly accuracy: "clean" | "attacked";
  readonly cost: "ops" | "packed_bytes";
  readonly attack: { readonly eps: number } | null;
  readonly members: readonly (readonly string[])[];
  readonly left_out: readonly (readonly string[])[];
}

export interface HandMade {
  readonly method: string;
  readonly architecture: string;
  readonly network: string;
  readonly training: string;
  readonly seeds: number;
  readonly test_mean: number;
  readonly ops_ratio: number;
  readonly bytes_ratio: number;
  readonly gain: number;
  readonly gain_error: number | null;
}

/** The controls of one kind beside the best of what was found. */
export interface Controls {
  readonly control: ControlKind;
  readonly architectures: number;
  readonly mean: number;
  readonly spread: number | null;
  readonly best: number;
  readonly apart: number;
  readonly gain: number;
  readonly gain_error: number | null;
  readonly p_value: number | null;
}

export interface ControlLine {
  readonly method: string;
  readonly search_id: string;
  readonly architecture: string;
  readonly test_mean: number;
  readonly test_spread: number | null;
  readonly seeds: number;
  readonly uniform: Controls | null;
  readonly like_cost: Controls | null;
  readonly unlike: number;
  readonly trainings_paid: number | null;
  readonly random_best: number | null;
}

export interface LiveNetwork {
  readonly job: string;
  readonly kind: "search" | "training";
  readonly state: string;
  readonly network: string;
}

export interface Comparison {
  readonly pairs: readonly Pair[];
  readonly methods: readonly ComparedMethod[];
  readonly controls: readonly ControlLine[];
  readonly hand_made: readonly HandMade[];
  readonly under_way: readonly LiveNetwork[];
  readonly networks: readonly string[];
  readonly pareto: readonly Front[];
}

export interface Robustness {
  readonly eps: number;
  readonly restarts: number;
  readonly images: number;
  readonly accuracies: Readonly<Record<string, number>>;
  readonly worst: number;
  readonly masked_by: readonly string[];
}

export interface ClassFigures {
  readonly names: readonly string[];
  readonly images: readonly number[];
  readonly accuracies: readonly (number | null)[];
  readonly confused_with: readonly (number | null)[];
}

export interface Candidate {
  readonly id: string;
  readonly architecture_id: string;
  readonly control?: ControlKind | null;
  readonly method_label: string;
  readonly seed: number;
  readonly state: string;
  readonly epochs_done: number;
  readonly epochs_total?: number | null;
  readonly validation_accuracy: number | null;
  readonly test_accuracy: number | null;
  readonly metrics: { readonly robustness?: Robustness | null; readonly test_classes?: ClassFigures | null } | null;
  readonly seconds: number;
  readonly attack_seconds?: number | null;
  readonly worker: string | null;
  readonly error: string | null;
  readonly started_at: string | null;
  readonly finished_at: string | null;
}

export interface Curve {
  readonly candidate: string;
  readonly architecture: string;
  readonly method: string;
  readonly seed: number;
  readonly epochs_total: number | null;
  readonly epoch: readonly number[];
  readonly columns: Readonly<Record<string, readonly (number | null)[]>>;
}

/** One choice for all pictures: "" stands for any. */
export interface Selection {
  readonly method: string;
  readonly architecture: string;
  readonly candidate: string;
}

/** Whether something of a method and an architecture, and maybe a candidate, is chosen; all is where nothing is chosen. */
export function isLit(selection: Selection, what: { method: string; architecture: string; candidate?: string }): boolean {
  if (selection.candidate && what.candidate !== undefined) return selection.candidate === what.candidate;
  return (
    (!selection.method || selection.method === what.method) &&
    (!selection.architecture || selection.architecture === what.architecture)
  );
}

/** Whether anything is chosen at all. */
export function isChosen(selection: Selection): boolean {
  return Boolean(selection.method || selection.architecture || selection.candidate);
}

/** Letters, colours and dashes of methods, and numbers of architectures: the same in all pictures of a training. */
export interface Names {
  readonly methods: readonly string[];
  /** Ids of architectures, the search's best first. */
  readonly architectures: readonly string[];
  letter(method: string): string;
  colour(method: string): string;
  dash(method: string): string;
  number(architecture: string): string;
}

const COLOURS = 7; // --cat-1 to --cat-7
const DASHES = ["", "6 3", "2 3", "9 3 2 3", "12 4"];

export function namesOf(
  methods: readonly string[],
  architectures: readonly string[],
  ranks: ReadonlyMap<string, number>,
  controls: ReadonlyMap<string, string> = new Map(),
): Names {
  const place = (method: string) => Math.max(0, methods.indexOf(method));
  return {
    methods,
    architectures,
    letter: (method) => String.fromCharCode(97 + (place(method) % 26)),
    colour: (method) => `var(--cat-${(place(method) % COLOURS) + 1})`,
    dash: (method) => DASHES[place(method) % DASHES.length] ?? "",
    number: (architecture) =>
      controls.get(architecture) ?? `#${ranks.get(architecture) ?? architectures.indexOf(architecture) + 1}`,
  };
}

const LETTERS: Readonly<Record<ControlKind, string>> = { uniform: "U", "like-cost": "L" };

/** Return U1, U2 ... for uniform controls and L1, L2 ... for those of like cost, in the order of the candidates. */
function controlNames(candidates: readonly Candidate[]): Map<string, string> {
  const counts: Record<ControlKind, number> = { uniform: 0, "like-cost": 0 };
  const found = new Map<string, string>();
  for (const { architecture_id: id, control } of candidates) {
    if (!control || found.has(id)) continue;
    counts[control] += 1;
    found.set(id, `${LETTERS[control]}${counts[control]}`);
  }
  return found;
}

/** Return the methods of a training in the order of its candidates, and the architectures by rank. */
export function namesIn(candidates: readonly Candidate[], pairs: readonly Pair[]): Names {
  const methods = [...new Set(candidates.map((candidate) => candidate.method_label))];
  const ranks = new Map(pairs.map((pair) => [pair.architecture, pair.architecture_rank]));
  const first = [...new Set(candidates.map((candidate) => candidate.architecture_id))];
  const architectures = first.sort(
    (left, right) => (ranks.get(left) ?? first.length + 1) - (ranks.get(right) ?? first.length + 1),
  );
  // Ranks of several searches clash: then places are used.
  const isClear = new Set(ranks.values()).size === ranks.size && ranks.size === architectures.length;
  return namesOf(methods, architectures, isClear ? ranks : new Map(), controlNames(candidates));
}
