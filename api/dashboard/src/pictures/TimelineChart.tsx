import { isLit } from "../state/training-data";
import { seconds } from "../ui/format";
import { linear, round } from "./axis";
import { Frame } from "./Frame";
import { opacity, type Shared, toggled } from "./marks";
import type { Bar, Lane, Timeline } from "./timeline";
import { useWidth } from "./width";

const ROW = 16;
const HEAD = 20;

/** Which worker trained and attacked which candidate when: training is full, attacks are striped. */
export function TimelineChart(props: Shared & { timeline: Timeline }) {
  const { ref, width } = useWidth<HTMLDivElement>();
  const tops: number[] = [];
  let below = 6;
  for (const lane of props.timeline.lanes) {
    tops.push(below);
    below += HEAD + lane.rows * ROW + 6;
  }
  const height = below + 38;
  const plot = { left: 12, right: width - 16, top: 4, bottom: below };
  const x = linear([0, Math.max(1, props.timeline.seconds)], [plot.left, plot.right], width < 500 ? 3 : 6);
  return (
    <div ref={ref} class="chart">
      <Frame
        width={width}
        height={height}
        plot={plot}
        x={x}
        y={{ at: () => 0, ticks: [] }}
        xLabel="since the first candidate began"
        xText={(value) => seconds(value)}
        yText={String}
        label="When each worker trained and attacked which candidate; the table of candidates has the same times"
        onLeave={() => props.onHover(null)}
      >
        <defs>
          <pattern id="attack-stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect width="3" height="6" fill="var(--ground)" opacity="0.75" />
          </pattern>
        </defs>
        {props.timeline.lanes.map((lane, place) => (
          <LaneMark key={lane.worker} {...props} lane={lane} top={tops[place] ?? 0} at={x.at} />
        ))}
      </Frame>
    </div>
  );
}

function LaneMark(props: Shared & { lane: Lane; top: number; at: (value: number) => number }) {
  const { lane, top } = props;
  return (
    <g>
      <text x="12" y={top + 13} fill="var(--text)" font-weight="600">
        {lane.worker}
      </text>
      {lane.bars.map((bar) => (
        <BarMark key={bar.candidate.id} {...props} bar={bar} y={top + HEAD + bar.row * ROW} />
      ))}
    </g>
  );
}

function BarMark(props: Shared & { bar: Bar; y: number; at: (value: number) => number }) {
  const { bar, names, selection, y, at } = props;
  const { candidate } = bar;
  const what = { method: candidate.method_label, architecture: candidate.architecture_id, candidate: candidate.id };
  const from = round(at(bar.start));
  const wide = Math.max(2, round(at(bar.end) - at(bar.start)));
  const attacked = round(at(bar.end) - at(bar.trained));
  const words = `${names.letter(what.method)}${names.number(what.architecture)} seed ${candidate.seed}`;
  const colour = names.colour(what.method);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the table of candidates does the same by keyboard
    <g
      opacity={opacity(isLit(selection, what))}
      onClick={() => props.onSelect(toggled(props.chosen, what))}
      onPointerEnter={() => props.onHover(what)}
    >
      <title>
        {`${words}: trained ${seconds(bar.trained - bar.start)}${attacked > 0 ? `, attacked ${seconds(bar.end - bar.trained)}` : ""}${bar.isOver ? "" : ", not over"}`}
      </title>
      <rect
        x={from}
        y={y}
        width={wide}
        height={ROW - 4}
        rx="2"
        fill={colour}
        stroke={colour}
        stroke-dasharray={bar.isOver ? "" : "3 2"}
      />
      {attacked > 0.5 ? (
        <rect x={round(at(bar.trained))} y={y} width={attacked} height={ROW - 4} fill="url(#attack-stripes)" />
      ) : null}
    </g>
  );
}
