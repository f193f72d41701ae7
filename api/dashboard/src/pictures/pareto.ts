import type { Front, HandMade, Pair } from "../state/training-data";
import { type Axis, domain, linear, logarithmic, round } from "./axis";

export type CostName = "ops" | "packed_bytes";

export interface ParetoPoint {
  readonly pair: Pair;
  readonly kind: "clean" | "attacked";
  readonly accuracy: number;
  readonly cost: number;
  readonly x: number;
  readonly y: number;
  readonly isFront: boolean;
}

/** A network of the literature, with one method: it is on no front, which is of what is compared. */
export interface HandMadePoint {
  readonly method: string;
  readonly network: string;
  readonly accuracy: number;
  readonly cost: number;
  readonly x: number;
  readonly y: number;
}

export interface ParetoLayout {
  readonly width: number;
  readonly height: number;
  readonly points: readonly ParetoPoint[];
  readonly handMade: readonly HandMadePoint[];
  readonly fronts: readonly { readonly kind: "clean" | "attacked"; readonly path: string }[];
  readonly x: Axis;
  readonly y: Axis;
  readonly plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number };
}

function key(method: string, architecture: string): string {
  return JSON.stringify([method, architecture]);
}

/** Members of the service's fronts over a cost, by kind of accuracy: several ways of attack may have a front each. */
export function membersOf(fronts: readonly Front[], cost: CostName): Readonly<Record<"clean" | "attacked", ReadonlySet<string>>> {
  const of = (kind: string) =>
    new Set(
      fronts
        .filter((front) => front.cost === cost && front.accuracy === kind)
        .flatMap((front) => front.members.map(([method = "", architecture = ""]) => key(method, architecture))),
    );
  return { clean: of("clean"), attacked: of("attacked") };
}

/** Steps from one member to the next: to the right at the accuracy that is had already, then up. */
function frontPath(points: readonly ParetoPoint[], right: number): string {
  const members = points.filter((point) => point.isFront).sort((a, b) => a.cost - b.cost || a.accuracy - b.accuracy);
  const [first] = members;
  if (!first) return "";
  const steps = members.slice(1).map((point) => `H${round(point.x)}V${round(point.y)}`);
  return `M${round(first.x)} ${round(first.y)}${steps.join("")}H${right}`;
}

/** Networks that pairs stand beside, each once a method. */
function handMadeOnes(pairs: readonly Pair[], lines: readonly HandMade[], cost: CostName): Omit<HandMadePoint, "x" | "y">[] {
  const found = new Map(pairs.map((pair) => [key(pair.method, pair.architecture), pair]));
  const points = lines.flatMap((line) => {
    const pair = found.get(key(line.method, line.architecture));
    const ratio = cost === "ops" ? line.ops_ratio : line.bytes_ratio;
    return pair ? [{ method: line.method, network: line.network, accuracy: line.test_mean, cost: pair[cost] / ratio }] : [];
  });
  return [...new Map(points.map((point) => [key(point.method, point.network), point])).values()];
}

/** Place clean and attacked accuracies of all pairs, and networks they stand beside, over a cost on a logarithmic axis. */
export function layOutPareto(
  pairs: readonly Pair[],
  lines: readonly HandMade[],
  fronts: readonly Front[],
  cost: CostName,
  width: number,
  height: number,
): ParetoLayout | null {
  const members = membersOf(fronts, cost);
  const known = pairs.flatMap((pair) => {
    const at = key(pair.method, pair.architecture);
    const clean = { pair, kind: "clean" as const, accuracy: pair.test_mean, cost: pair[cost], isFront: members.clean.has(at) };
    if (pair.attacked_mean === null || pair.attacked_mean === undefined) return [clean];
    return [clean, { ...clean, kind: "attacked" as const, accuracy: pair.attacked_mean, isFront: members.attacked.has(at) }];
  });
  const drawn = known.filter((point) => point.cost > 0);
  if (drawn.length === 0) return null;
  const beside = handMadeOnes(pairs, lines, cost).filter((point) => point.cost > 0);
  const plot = { left: 46, right: width - 14, top: 14, bottom: height - 38 };
  const [low, high] = domain(
    [...drawn, ...beside].map((point) => point.accuracy),
    0.02,
  );
  const x = logarithmic(
    [...drawn, ...beside].map((point) => point.cost),
    [plot.left, plot.right],
  );
  const y = linear([Math.max(0, low), Math.min(1, high)], [plot.bottom, plot.top]);
  const points = drawn.map((point) => ({ ...point, x: x.at(point.cost), y: y.at(point.accuracy) }));
  const handMade = beside.map((point) => ({ ...point, x: x.at(point.cost), y: y.at(point.accuracy) }));
  const kinds = ["clean", "attacked"] as const;
  const paths = kinds.map((kind) => ({
    kind,
    path: frontPath(
      points.filter((point) => point.kind === kind),
      plot.right,
    ),
  }));
  return { width, height, points, handMade, fronts: paths.filter((line) => line.path !== ""), x, y, plot };
}
