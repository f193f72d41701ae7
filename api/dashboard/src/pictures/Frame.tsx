import type { ComponentChildren } from "preact";
import { type Axis, round, spaced } from "./axis";

export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface FrameProps {
  width: number;
  height: number;
  plot: Plot;
  x: Axis;
  y: Axis;
  xLabel: string;
  xText: (value: number) => string;
  yText: (value: number) => string;
  /** What the picture shows, in one sentence. */
  label: string;
  children: ComponentChildren;
  onLeave?: () => void;
}

const FONT = 12;

/** Axes, grid and words of a chart, at its real size; what is drawn in it is its children. */
export function Frame(props: FrameProps) {
  const { plot, x, y } = props;
  const xTicks = spaced(x, 54).filter((tick) => x.at(tick) >= plot.left - 1 && x.at(tick) <= plot.right + 1);
  const yTicks = spaced(y, 20).filter((tick) => y.at(tick) >= plot.top - 1 && y.at(tick) <= plot.bottom + 1);
  return (
    <svg
      role="img"
      aria-label={props.label}
      width={props.width}
      height={props.height}
      font-size={FONT}
      font-family="system-ui, sans-serif"
      onPointerLeave={() => props.onLeave?.()}
    >
      <g stroke="var(--line)" stroke-width="1">
        {yTicks.map((tick) => (
          <line key={tick} x1={plot.left} x2={plot.right} y1={round(y.at(tick))} y2={round(y.at(tick))} />
        ))}
        <line x1={plot.left} x2={plot.right} y1={plot.bottom} y2={plot.bottom} stroke="var(--strong-line)" />
        {xTicks.map((tick) => (
          <line key={tick} x1={round(x.at(tick))} x2={round(x.at(tick))} y1={plot.bottom} y2={plot.bottom + 4} />
        ))}
      </g>
      <g fill="var(--quiet)">
        {yTicks.map((tick) => (
          <text key={tick} x={plot.left - 5} y={round(y.at(tick)) + 4} text-anchor="end">
            {props.yText(tick)}
          </text>
        ))}
        {xTicks.map((tick) => (
          <text key={tick} x={round(inside(x.at(tick), props.width))} y={plot.bottom + 17} text-anchor="middle">
            {props.xText(tick)}
          </text>
        ))}
        <text x={(plot.left + plot.right) / 2} y={plot.bottom + 33} text-anchor="middle">
          {props.xLabel}
        </text>
      </g>
      {props.children}
    </svg>
  );
}

/** Keep the middle of a tick's words away from the rim. */
function inside(at: number, width: number): number {
  return Math.min(Math.max(at, 18), width - 20);
}
