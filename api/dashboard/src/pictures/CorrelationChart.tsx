import { isLit, type Pair } from "../state/training-data";
import { fixed, percent } from "../ui/format";
import { decimals, round } from "./axis";
import { layOutCorrelation } from "./correlation";
import { Frame } from "./Frame";
import { opacity, type Shared, toggled } from "./marks";
import { useWidth } from "./width";

/** What the search thought of an architecture, and what each method reached on it. */
export function CorrelationChart(props: Shared & { pairs: readonly Pair[] }) {
  const { ref, width } = useWidth<HTMLDivElement>(400);
  const height = 280;
  const layout = layOutCorrelation(props.pairs, width, height);
  const { names, selection } = props;
  return (
    <div ref={ref} class="chart">
      {layout ? (
        <Frame
          {...layout}
          width={width}
          height={height}
          xLabel="score of the search, in its strategy's unit"
          xText={(value) => fixed(value, decimals(layout.x.ticks))}
          yText={(value) => percent(value, decimals(layout.y.ticks, 100))}
          label={`Mean test accuracy over the search's score of ${layout.points.length} pairs; the table of pairs has the same figures`}
          onLeave={() => props.onHover(null)}
        >
          {layout.points.map(({ pair, x, y }) => {
            const wanted = { method: pair.method, architecture: pair.architecture, candidate: "" };
            return (
              // biome-ignore lint/a11y/noStaticElementInteractions: the matrix does the same by keyboard
              <g
                key={`${pair.method} ${pair.architecture}`}
                opacity={opacity(isLit(selection, pair))}
                onClick={() => props.onSelect(toggled(props.chosen, wanted))}
                onPointerEnter={() => props.onHover(wanted)}
              >
                <title>{`${pair.method} on ${names.number(pair.architecture)}: score ${fixed(pair.architecture_score, 4)}, test ${percent(pair.test_mean)}`}</title>
                <circle
                  cx={round(x)}
                  cy={round(y)}
                  r="8"
                  fill="var(--ground)"
                  stroke={names.colour(pair.method)}
                  stroke-width="2"
                />
                <text x={round(x)} y={round(y) + 4} text-anchor="middle" fill="var(--text)">
                  {names.letter(pair.method)}
                </text>
              </g>
            );
          })}
        </Frame>
      ) : null}
    </div>
  );
}
