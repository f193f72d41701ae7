import { type Front, type HandMade, isLit, type Pair } from "../state/training-data";
import { amount, bytes, percent } from "../ui/format";
import { decimals, round } from "./axis";
import { Frame } from "./Frame";
import { opacity, type Shared, toggled } from "./marks";
import { type CostName, type HandMadePoint, layOutPareto, type ParetoPoint } from "./pareto";
import { useWidth } from "./width";

interface ParetoProps extends Shared {
  pairs: readonly Pair[];
  handMade: readonly HandMade[];
  fronts: readonly Front[];
  cost: CostName;
}

export const COST_WORDS: Readonly<Record<CostName, string>> = {
  ops: "OPs an image (FLOPs + BOPs / 64)",
  packed_bytes: "bytes, packed",
};
/** The same below the axis, where a phone has little room; the heading has it in full. */
const AXIS_WORDS: Readonly<Record<CostName, string>> = { ops: "OPs an image", packed_bytes: "bytes, packed" };

/** Clean accuracy (circle) and what stands every attack (cross) of each pair over its cost, with the fronts of both, and the
 * hand-made networks (squares) beside which pairs stand. */
export function ParetoChart(props: ParetoProps) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const layout = layOutPareto(props.pairs, props.handMade, props.fronts, props.cost, width, width < 500 ? 300 : 360);
  const costText = props.cost === "ops" ? amount : bytes;
  return (
    <div ref={ref} class="chart">
      {layout ? (
        <Frame
          {...layout}
          xLabel={`${AXIS_WORDS[props.cost]}; each step is a multiple`}
          xText={costText}
          yText={(value) => percent(value, decimals(layout.y.ticks, 100))}
          label={`Test accuracy over ${COST_WORDS[props.cost]} of ${props.pairs.length} pairs of method and architecture; the table below has the same figures`}
          onLeave={() => props.onHover(null)}
        >
          {layout.fronts.map((front) => (
            <path
              key={front.kind}
              d={front.path}
              fill="none"
              stroke="var(--text)"
              stroke-width="1.5"
              stroke-dasharray={front.kind === "clean" ? "" : "5 4"}
              data-front={front.kind}
            />
          ))}
          {layout.handMade.map((point) => (
            <HandMadeMark key={`${point.network}${point.method}`} point={point} {...props} />
          ))}
          {layout.points.map((point) => (
            <Mark key={`${point.kind}${point.pair.method}${point.pair.architecture}`} point={point} {...props} />
          ))}
        </Frame>
      ) : null}
    </div>
  );
}

function HandMadeMark(props: ParetoProps & { point: HandMadePoint }) {
  const { point, names, selection } = props;
  const isNamed = selection.method === "" || selection.method === point.method;
  return (
    <g opacity={opacity(isNamed)} data-hand-made={`${point.network} ${point.method}`}>
      <title>{`${point.network}, hand-made, ${point.method}: ${percent(point.accuracy)}`}</title>
      <rect
        x={round(point.x) - 4}
        y={round(point.y) - 4}
        width="8"
        height="8"
        fill="var(--ground)"
        stroke={names.colour(point.method)}
        stroke-width="2"
      />
    </g>
  );
}

function Mark(props: ParetoProps & { point: ParetoPoint }) {
  const { point, names, selection } = props;
  const { pair } = point;
  const wanted = { method: pair.method, architecture: pair.architecture, candidate: "" };
  const colour = names.colour(pair.method);
  const lit = isLit(selection, pair);
  const words = `${names.letter(pair.method)}${names.number(pair.architecture)}`;
  const [x, y] = [round(point.x), round(point.y)];
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the matrix and the table do the same by keyboard
    <g
      opacity={opacity(lit)}
      class="mark-point"
      data-point={`${point.kind} ${pair.method} ${pair.architecture}`}
      data-lit={lit}
      onClick={() => props.onSelect(toggled(props.chosen, wanted))}
      onPointerEnter={() => props.onHover(wanted)}
    >
      <title>{`${pair.method} on ${names.number(pair.architecture)}, ${point.kind}: ${percent(point.accuracy)}`}</title>
      <circle cx={x} cy={y} r="12" fill="transparent" />
      {point.kind === "clean" ? (
        <circle cx={x} cy={y} r="5" fill={point.isFront ? colour : "var(--ground)"} stroke={colour} stroke-width="2" />
      ) : (
        <path d={`M${x - 5} ${y - 5}l10 10m0 -10l-10 10`} stroke={colour} stroke-width={point.isFront ? 3 : 1.75} />
      )}
      {point.isFront ? (
        <text x={x} y={y - 9} text-anchor="middle" fill="var(--text)">
          {words}
        </text>
      ) : null}
    </g>
  );
}
