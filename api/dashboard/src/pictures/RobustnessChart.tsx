import { type Candidate, isLit } from "../state/training-data";
import { percent } from "../ui/format";
import { linear, round } from "./axis";
import { Frame } from "./Frame";
import { opacity, type Shared, toggled } from "./marks";
import { useWidth } from "./width";

const ROW = 26;

/** Rows of the picture and of the table: no attack, every attack by name, and all of them together. */
export function attackRows(candidates: readonly Candidate[]): string[] {
  const attacks = new Set(candidates.flatMap((entry) => Object.keys(entry.metrics?.robustness?.accuracies ?? {})));
  return ["no attack", ...attacks, "worst of all"];
}

/** Return a candidate's accuracy in a row; null where it was not measured. */
export function underAttack(candidate: Candidate, row: string): number | null {
  if (row === "no attack") return candidate.test_accuracy;
  const figures = candidate.metrics?.robustness;
  return row === "worst of all" ? (figures?.worst ?? null) : (figures?.accuracies[row] ?? null);
}

/** Test accuracy of every candidate under every attack: a letter is a candidate of that method. */
export function RobustnessChart(props: Shared & { candidates: readonly Candidate[] }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const rows = attackRows(props.candidates);
  const letter = width < 500 ? 6.6 : 7.2; // of the longest name, in pixels
  const longest = Math.max(...rows.map((row) => row.length));
  const plot = {
    left: Math.min(Math.ceil(longest * letter) + 22, width / 2),
    right: width - 16,
    top: 4,
    bottom: 10 + rows.length * ROW,
  };
  const x = linear([0, 1], [plot.left, plot.right], width < 500 ? 2 : 5);
  return (
    <div ref={ref} class="chart">
      <Frame
        width={width}
        height={plot.bottom + 38}
        plot={plot}
        x={x}
        y={{ at: () => 0, ticks: [] }}
        xLabel="test accuracy"
        xText={(value) => percent(value, 0)}
        yText={String}
        label="Test accuracy of each candidate under each attack; the table below has the same figures"
        onLeave={() => props.onHover(null)}
      >
        {rows.map((row, place) => (
          <g key={row}>
            <text x={plot.left - 12} y={24 + place * ROW} text-anchor="end" fill="var(--text)">
              {row}
            </text>
            <line x1={plot.left} x2={plot.right} y1={20 + place * ROW} y2={20 + place * ROW} stroke="var(--line)" />
            {props.candidates.map((candidate) => (
              <Dot key={candidate.id} {...props} candidate={candidate} row={row} x={x.at} y={20 + place * ROW} />
            ))}
          </g>
        ))}
      </Frame>
    </div>
  );
}

function Dot(props: Shared & { candidate: Candidate; row: string; x: (value: number) => number; y: number }) {
  const { candidate, names, selection } = props;
  const accuracy = underAttack(candidate, props.row);
  if (accuracy === null) return null;
  const what = { method: candidate.method_label, architecture: candidate.architecture_id, candidate: candidate.id };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the table of candidates does the same by keyboard
    <g
      opacity={opacity(isLit(selection, what))}
      onClick={() => props.onSelect(toggled(props.chosen, what))}
      onPointerEnter={() => props.onHover(what)}
    >
      <title>{`${what.method} on ${names.number(what.architecture)}, seed ${candidate.seed}, ${props.row}: ${percent(accuracy)}`}</title>
      <circle
        cx={round(props.x(accuracy))}
        cy={props.y}
        r="7.5"
        fill="var(--ground)"
        stroke={names.colour(what.method)}
        stroke-width="2"
      />
      <text x={round(props.x(accuracy))} y={props.y + 4} text-anchor="middle" font-size="10" fill="var(--text)">
        {names.letter(what.method)}
      </text>
    </g>
  );
}
