import type { ArmFacts } from "../state/arm-table";
import { figureOf } from "./heat";
import { bandPath, linePath, type Scale, scale, ticks } from "./scale";
import { useWidth } from "./width";

export interface HistoryLine {
  readonly operation: string;
  readonly mean: readonly (number | null)[];
  readonly lower: readonly (number | null)[];
  readonly upper: readonly (number | null)[];
  readonly abandonedRound: number | null;
}

interface HistoryChartProps {
  readonly at: readonly number[];
  readonly lines: readonly HistoryLine[];
  readonly facts: ArmFacts;
  /** Whose bounds are drawn: the chosen operation, else the leading one. */
  readonly shown: string | null;
  readonly now: number;
  readonly onChoose: (operation: string) => void;
}

const HEIGHT = 170;
const PAD = { left: 44, right: 10, top: 8, bottom: 24 };

/** Of the means, with room around them: bounds may be far wider, and are cut at the picture's rim. */
function rangeOf(lines: readonly HistoryLine[]): { low: number; high: number } {
  const known = lines.flatMap((line) => line.mean).filter((value): value is number => value !== null);
  if (known.length === 0) return { low: 0, high: 1 };
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = 0.6 * (high - low || Math.abs(high) || 1);
  return { low: low - room, high: high + room };
}

function within(values: readonly (number | null)[], y: Scale): (number | null)[] {
  return values.map((value) => (value === null ? null : Math.min(Math.max(value, y.low), y.high)));
}

/** Means of the arms of one edge over the samples, and the bounds of the one that is looked at. */
export function HistoryChart({ at, lines, facts, shown, now, onChoose }: HistoryChartProps) {
  const { ref, width } = useWidth<HTMLDivElement>(560);
  const range = rangeOf(lines);
  const x = scale(0, Math.max(1, at.at(-1) ?? 1), PAD.left, width - PAD.right);
  const y = scale(range.low, range.high, HEIGHT - PAD.bottom, PAD.top);
  const band = lines.find((line) => line.operation === shown);
  const ordered = [...lines].sort((a, b) => Number(a.operation === shown) - Number(b.operation === shown));
  return (
    <div ref={ref} class="picture">
      <svg
        xmlns="http://www.w3.org/2000/svg"
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        class="history"
        role="img"
        aria-label={`Means over samples${shown ? `, with the bounds of ${shown}` : ""}`}
      >
        {ticks(y.low, y.high, 4).map((tick) => (
          <g key={tick}>
            <line x1={PAD.left} x2={width - PAD.right} y1={y(tick)} y2={y(tick)} class="grid" />
            <text x={PAD.left - 6} y={y(tick) + 4} text-anchor="end" class="axis">
              {figureOf(facts, tick)}
            </text>
          </g>
        ))}
        {ticks(x.low, x.high, width < 400 ? 3 : 6).map((tick) => (
          <text key={tick} x={Math.min(x(tick), width - 14)} y={HEIGHT - 6} text-anchor="middle" class="axis">
            {tick}
          </text>
        ))}
        {band ? <path d={bandPath(at, within(band.lower, y), within(band.upper, y), x, y)} class="band" /> : null}
        {ordered.map((line) => (
          // biome-ignore lint/a11y/noStaticElementInteractions: the same is a Tab stop in the table of arms
          <path
            key={line.operation}
            d={linePath(at, line.mean, x, y)}
            class={`line ${line.operation === shown ? "shown" : line.abandonedRound === null ? "live" : "abandoned"}`}
            data-operation={line.operation}
            onClick={() => onChoose(line.operation)}
          />
        ))}
        <line x1={x(now)} x2={x(now)} y1={PAD.top} y2={HEIGHT - PAD.bottom} class="now" />
      </svg>
    </div>
  );
}
