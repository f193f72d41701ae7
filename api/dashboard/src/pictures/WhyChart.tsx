import { type ArmTable, boundWords, type Slot, unitWords } from "../state/arm-table";
import { figureOf } from "./heat";
import { type Scale, scale, ticks } from "./scale";
import { type WhyRow, whyRange, whyRows } from "./why";
import { useWidth } from "./width";

interface WhyChartProps {
  readonly table: ArmTable;
  readonly slot: Slot;
  readonly operation: string | null;
  readonly onChoose: (operation: string) => void;
}

const NARROW = 460; // px: under it the words stand above the lines

interface Places {
  readonly isNarrow: boolean;
  readonly left: number;
  readonly right: number;
  readonly row: number;
  readonly line: number;
}

function placesOf(width: number, rows: readonly WhyRow[]): Places {
  if (width < NARROW) return { isNarrow: true, left: 8, right: width - 8, row: 38, line: 26 };
  const longest = Math.max(...rows.map((row) => row.operation.length));
  const left = Math.min(width * 0.36, longest * 7.6 + 16);
  return { isNarrow: false, left, right: width - 158, row: 24, line: 12 };
}

/** Dots are means, lines the bounds, by operation of the chosen edge: why it leads, and why others are out. */
export function WhyChart({ table, slot, operation, onChoose }: WhyChartProps) {
  const { ref, width } = useWidth<HTMLDivElement>(560);
  const rows = whyRows(table, slot);
  const places = placesOf(width, rows);
  const range = whyRange(rows) ?? { low: 0, high: 1 };
  const x = scale(range.low, range.high, places.left + 6, places.right - 6);
  const height = rows.length * places.row + 24;
  return (
    <div ref={ref} class="picture">
      <svg
        xmlns="http://www.w3.org/2000/svg"
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        class="why"
        role="img"
        aria-label={`Dot: mean, ${unitWords(table.facts)}; ${boundWords(table.facts)}. The figures are in the table below.`}
      >
        {ticks(x.low, x.high, places.isNarrow ? 3 : 4).map((tick) => (
          <g key={tick}>
            <line x1={x(tick)} x2={x(tick)} y1={0} y2={height - 22} class="grid" />
            <text x={Math.min(Math.max(x(tick), 18), width - 18)} y={height - 6} text-anchor="middle" class="axis">
              {figureOf(table.facts, tick)}
            </text>
          </g>
        ))}
        {rows.map((row, index) => (
          <Row
            key={row.position}
            {...{ row, places, x, width }}
            y={index * places.row}
            isChosen={row.operation === operation}
            onChoose={() => onChoose(row.operation)}
          />
        ))}
      </svg>
    </div>
  );
}

interface RowProps {
  readonly row: WhyRow;
  readonly y: number;
  readonly places: Places;
  readonly x: Scale;
  readonly width: number;
  readonly isChosen: boolean;
  readonly onChoose: () => void;
}

function Row({ row, y, places, x, width, isChosen, onChoose }: RowProps) {
  const kind = row.isLeading ? "leading" : row.isAlive ? "live" : "abandoned";
  const line = y + places.line;
  const words = places.isNarrow ? y + 14 : line + 4;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the same is a Tab stop in the table of arms
    <g class={`why-row why-${kind}${isChosen ? " chosen" : ""}`} onClick={onChoose} data-operation={row.operation}>
      <rect x={0} y={y} width={width} height={places.row} class="why-ground" />
      <text x={places.isNarrow ? 8 : places.left - 8} y={words} text-anchor={places.isNarrow ? "start" : "end"} class="why-name">
        {row.operation}
      </text>
      <text x={width - 4} y={words} text-anchor="end" class="why-words">
        {row.words}
      </text>
      {row.lower !== null && row.upper !== null ? (
        <line x1={x(row.lower)} x2={x(row.upper)} y1={line} y2={line} class="why-bounds" />
      ) : null}
      {row.mean === null ? null : <circle cx={x(row.mean)} cy={line} r={row.isLeading ? 5 : 4} class="why-mean" />}
    </g>
  );
}
