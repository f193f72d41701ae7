import { useSignal } from "@preact/signals";
import { percent } from "../ui/format";
import { decimals } from "./axis";
import { bestSoFar, dotPath, nearest, type Scale, scale, stepPath, ticks } from "./scale";
import { useWidth } from "./width";

type Column = readonly (number | null)[];

export interface SamplesChartProps {
  readonly index: Column;
  readonly reward: Column;
  /** Share of a whole training that a sample was: rewards of different ones are not alike. */
  readonly fidelity: Column;
  /** On clean images, where it is not the reward itself. */
  readonly clean: Column | null;
  readonly attacked: Column | null;
  readonly rounds: readonly { readonly round: number; readonly samples: number; readonly dropped: number }[];
  /** Samples in all: how far the axis goes. */
  readonly total: number;
  /** Samples up to here count; later ones are faint. */
  readonly at: number;
  readonly chosen: number | null;
  readonly onChoose: (index: number) => void;
}

const HEIGHT = 250;
const PAD = { left: 48, right: 12, top: 22, bottom: 34 };

function rangeOf(columns: readonly (Column | null)[]): { low: number; high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const column of columns) {
    for (const value of column ?? []) {
      if (value === null) continue;
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? { low: Math.max(0, low - 0.01), high: Math.min(1, high + 0.01) } : { low: 0, high: 1 };
}

function Axes(props: { x: Scale; y: Scale; width: number }) {
  const { x, y, width } = props;
  return (
    <>
      {ticks(y.low, y.high, 5).map((tick) => (
        <g key={tick}>
          <line x1={PAD.left} x2={width - PAD.right} y1={y(tick)} y2={y(tick)} class="grid" />
          <text x={PAD.left - 6} y={y(tick) + 4} text-anchor="end" class="axis">
            {percent(tick, decimals(ticks(y.low, y.high, 5), 100))}
          </text>
        </g>
      ))}
      {ticks(x.low, x.high, width < 420 ? 3 : 8).map((tick) => (
        <text key={tick} x={Math.min(x(tick), width - 16)} y={HEIGHT - PAD.bottom + 16} text-anchor="middle" class="axis">
          {tick}
        </text>
      ))}
      <text x={(PAD.left + width) / 2} y={HEIGHT - 3} text-anchor="middle" class="axis">
        samples
      </text>
    </>
  );
}

function Rounds(props: { rounds: SamplesChartProps["rounds"]; x: Scale; width: number }) {
  let free = 0;
  return (
    <>
      {props.rounds.map((mark) => {
        const place = props.x(mark.samples);
        const text = `${mark.round}${mark.dropped ? `: \u2212${mark.dropped}` : ""}`;
        const isFree = place > free && place + text.length * 7 < props.width;
        if (isFree) free = place + text.length * 7 + 8;
        return (
          <g key={mark.round} class="round-tick">
            <line x1={place} x2={place} y1={PAD.top - 6} y2={HEIGHT - PAD.bottom} />
            {isFree ? (
              <text x={place} y={12} text-anchor="start" class="axis">
                {text}
              </text>
            ) : null}
          </g>
        );
      })}
    </>
  );
}

/** Samples as dots, the best so far as a line, ends of rounds as ticks. */
export function SamplesChart(props: SamplesChartProps) {
  const { ref, width } = useWidth<HTMLDivElement>(900);
  const pointed = useSignal<number | null>(null);
  const at = props.index.map((value) => value ?? 0);
  const range = rangeOf([props.reward, props.clean, props.attacked]);
  const x = scale(0, Math.max(1, props.total), PAD.left, width - PAD.right);
  const y = scale(range.low, range.high, HEIGHT - PAD.bottom, PAD.top);
  const shown = at.filter((index) => index < props.at).length;
  const found = props.chosen === null ? -1 : at.indexOf(props.chosen);
  const best = bestSoFar(props.reward.slice(0, shown), props.fidelity);
  const [whole, short] = [true, false].map((isWhole) =>
    props.reward.slice(0, shown).map((value, place) => (((props.fidelity[place] ?? 1) === 1) === isWhole ? value : null)),
  );
  const marked = pointed.value ?? (found < 0 ? null : found);

  function point(event: PointerEvent): number {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    const wanted = x.low + ((event.clientX - box.left - PAD.left) / (width - PAD.right - PAD.left)) * (x.high - x.low);
    return nearest(at, wanted);
  }

  return (
    <div ref={ref} class="picture">
      <svg
        xmlns="http://www.w3.org/2000/svg"
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        class="samples-chart"
        role="img"
        aria-label={`Accuracy of ${shown} samples; best ${percent(best.at(-1))}`}
        onPointerMove={(event) => {
          pointed.value = point(event);
        }}
        onPointerLeave={() => {
          pointed.value = null;
        }}
        onPointerUp={(event) => {
          const place = point(event);
          if (place >= 0) props.onChoose(at[place] ?? 0);
        }}
      >
        <Axes {...{ x, y, width }} />
        <Rounds rounds={props.rounds} {...{ x, width }} />
        <path d={dotPath(at.slice(shown), props.reward.slice(shown), x, y)} class="dots later" />
        {props.attacked ? (
          <path d={dotPath(at.slice(0, shown), props.attacked.slice(0, shown), x, y)} class="dots attacked" />
        ) : null}
        {props.clean ? <path d={dotPath(at.slice(0, shown), props.clean.slice(0, shown), x, y)} class="dots clean" /> : null}
        <path d={dotPath(at.slice(0, shown), short ?? [], x, y)} class="dots short" />
        <path d={dotPath(at.slice(0, shown), whole ?? [], x, y)} class="dots reward" />
        <path d={stepPath(at.slice(0, shown), best, x, y, props.at)} class="best" />
        {marked === null ? null : <Marked {...{ ...props, x, y, width }} place={marked} index={at[marked] ?? 0} />}
      </svg>
    </div>
  );
}

function Marked(props: { place: number; index: number; reward: Column; x: Scale; y: Scale; width: number }) {
  const reward = props.reward[props.place] ?? null;
  const x = props.x(props.index);
  const isRight = x > props.width - 150;
  return (
    <g class="marked">
      <line x1={x} x2={x} y1={PAD.top} y2={HEIGHT - PAD.bottom} />
      {reward === null ? null : <circle cx={x} cy={props.y(reward)} r={5} />}
      <text x={x + (isRight ? -8 : 8)} y={HEIGHT - PAD.bottom - 6} text-anchor={isRight ? "end" : "start"}>
        {`sample ${props.index}: ${percent(reward, 2)}`}
      </text>
    </g>
  );
}
