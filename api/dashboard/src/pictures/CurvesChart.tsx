import { type Curve, isLit } from "../state/training-data";
import { fixed, percent } from "../ui/format";
import { decimals, domain, linear } from "./axis";
import { type Band, bandPaths } from "./curves";
import { Frame } from "./Frame";
import { opacity, type Shared, toggled } from "./marks";
import { useWidth } from "./width";

interface CurvesProps extends Shared {
  architecture: string;
  bands: readonly Band[];
  /** Single seeds, drawn thin where one pair is chosen. */
  curves: readonly Curve[];
  field: string;
  isShare: boolean;
  height: number;
  /** Over all architectures, so that small multiples can be compared. */
  range: readonly [number, number];
  epochs: number;
}

/** Means over seeds by epoch on one architecture, a line a method, with bands of one standard deviation. */
export function CurvesChart(props: CurvesProps) {
  const { ref, width } = useWidth<HTMLDivElement>(320);
  const plot = { left: 46, right: width - 22, top: 10, bottom: props.height - 38 };
  const x = linear([0, Math.max(1, props.epochs - 1)], [plot.left, plot.right], 4);
  const [low, high] = domain(props.range, 0.001, 0.04);
  const y = linear(
    [props.isShare ? Math.max(0, low) : low, props.isShare ? Math.min(1, high) : high],
    [plot.bottom, plot.top],
    4,
  );
  const own = props.bands.filter((band) => band.architecture === props.architecture && band.epoch.length > 0);
  const ground = width > 0 ? props.names.number(props.architecture) : "";
  return (
    <div ref={ref} class="chart">
      <Frame
        width={width}
        height={props.height}
        plot={plot}
        x={{ at: x.at, ticks: x.ticks.filter(Number.isInteger) }}
        y={y}
        xLabel="epoch"
        xText={(value) => String(value + 1)}
        yText={(value) => (props.isShare ? percent(value, decimals(y.ticks, 100)) : fixed(value, decimals(y.ticks)))}
        label={`${props.field.replaceAll("_", " ")} by epoch on architecture ${ground}: ${own.length} methods; their last figures are in the table`}
      >
        {own.map((band) => (
          <BandMark key={band.method} {...props} band={band} x={x} y={y} />
        ))}
      </Frame>
    </div>
  );
}

function BandMark(props: CurvesProps & { band: Band; x: ReturnType<typeof linear>; y: ReturnType<typeof linear> }) {
  const { band, names, selection, x, y } = props;
  const paths = bandPaths(band, x, y);
  const lit = isLit({ ...selection, candidate: "" }, band);
  const colour = names.colour(band.method);
  const wanted = { method: band.method, architecture: band.architecture, candidate: "" };
  const isAlone = lit && (selection.method !== "" || selection.candidate !== "");
  const seeds = isAlone
    ? props.curves.filter((curve) => curve.method === band.method && curve.architecture === band.architecture)
    : [];
  const last = band.epoch.length - 1;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the legend and the matrix do the same by keyboard
    <g
      opacity={opacity(lit)}
      data-band={`${band.method} ${band.architecture}`}
      data-lit={lit}
      onClick={() => props.onSelect(toggled(props.chosen, wanted))}
    >
      {paths.area ? <path d={paths.area} fill={colour} opacity="0.18" /> : null}
      {seeds.map((curve) => (
        <path
          key={curve.candidate}
          d={seedPath(curve, props.field, x, y)}
          fill="none"
          stroke={colour}
          stroke-width={selection.candidate === curve.candidate ? 3 : 1}
        />
      ))}
      <path d={paths.line} fill="none" stroke={colour} stroke-width="2" stroke-dasharray={names.dash(band.method)} />
      <text x={x.at(band.epoch[last] ?? 0) + 4} y={y.at(band.mean[last] ?? 0) + 4} fill="var(--text)">
        {names.letter(band.method)}
      </text>
    </g>
  );
}

function seedPath(curve: Curve, field: string, x: ReturnType<typeof linear>, y: ReturnType<typeof linear>): string {
  const points = curve.epoch.flatMap((epoch, place) => {
    const value = curve.columns[field]?.[place];
    return typeof value === "number" ? [`${x.at(epoch).toFixed(1)} ${y.at(value).toFixed(1)}`] : [];
  });
  return points.length > 0 ? `M${points.join("L")}` : "";
}
