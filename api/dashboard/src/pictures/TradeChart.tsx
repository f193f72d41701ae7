import type { View } from "../api/client";
import { amount, bytes, fixed } from "../ui/format";
import { decimals, domain, linear, logarithmic, round } from "./axis";
import { Frame } from "./Frame";
import { useWidth } from "./width";

type Architecture = View<"ArchitectureView">;

const HEIGHT = 300;

/** An objective that is measured, as scores are, and should be high; all others are costs. */
export const ATTACKED = "attacked_accuracy";

/** One of the costs that a search may trade, of an architecture. */
export function costOf(architecture: Pick<Architecture, "cost">, name: string): number {
  const { cost } = architecture;
  return name === "parameters" ? (cost.binary_parameters ?? 0) + (cost.float_parameters ?? 0) : (cost[name] ?? 0);
}

/** What a search that trades found: the score over an objective, each a link to its architecture, named by its rank. */
export function TradeChart(props: { architectures: readonly Architecture[]; objective: string }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const { objective } = props;
  const words = objective === "ops" ? "OPs an image" : objective.replaceAll("_", " ");
  const isCost = objective !== ATTACKED;
  const placeOf = (one: Architecture) => (isCost ? Math.max(costOf(one, objective), 1) : (one.attacked_score ?? 0));
  const plot = { left: 52, right: width - 14, top: 18, bottom: HEIGHT - 38 };
  const found = props.architectures.flatMap((one) => (one.score === null ? [] : [{ ...one, score: one.score }])); // no controls
  const values = found.map(placeOf);
  const x = isCost
    ? logarithmic(values, [plot.left, plot.right])
    : linear(domain(values, 0.02), [plot.left, plot.right], width < 400 ? 3 : 5);
  const y = linear(
    domain(
      found.map((one) => one.score),
      0.02,
    ),
    [plot.bottom, plot.top],
  );
  return (
    <div ref={ref} class="chart">
      {width > 0 ? (
        <Frame
          width={width}
          height={HEIGHT}
          plot={plot}
          x={x}
          y={y}
          xLabel={isCost ? `${words}; each step is a multiple` : words}
          xText={objective === "packed_bytes" ? bytes : isCost ? amount : (value) => fixed(value, decimals(x.ticks))}
          yText={(value) => fixed(value, decimals(y.ticks))}
          label={`Score over ${words} of the ${found.length} architectures of the Pareto set; the list below has the same figures`}
        >
          {found.map((one) => (
            <a key={one.id} href={`/architectures/${one.id}`} aria-label={`rank ${one.rank}`}>
              <circle
                cx={round(x.at(placeOf(one)))}
                cy={round(y.at(one.score))}
                r="5"
                fill="var(--accent)"
                data-rank={one.rank}
              />
              <text x={round(x.at(placeOf(one)))} y={round(y.at(one.score)) - 9} text-anchor="middle" fill="var(--text)">
                {one.rank}
              </text>
            </a>
          ))}
        </Frame>
      ) : null}
    </div>
  );
}
