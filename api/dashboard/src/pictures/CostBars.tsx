import { bytes } from "../ui/format";
import { useWidth } from "./width";

export interface CostBar {
  readonly key: string;
  readonly name: string;
  readonly bits1: number;
  readonly bits32: number;
}

const ROW = 24;

/** Bytes of each cell: binary weights, and beside them what is not binary. */
export function CostBars({ parts }: { parts: readonly CostBar[] }) {
  const { ref, width } = useWidth<HTMLDivElement>(560);
  const left = Math.min(width * 0.5, Math.max(...parts.map((part) => part.name.length), 4) * 7.2 + 12);
  const right = 74;
  const most = Math.max(1, ...parts.map((part) => part.bits1 + part.bits32));
  const breadth = (value: number) => (value / most) * Math.max(10, width - left - right);
  const height = parts.length * ROW + 4;
  return (
    <div ref={ref} class="picture">
      <svg
        xmlns="http://www.w3.org/2000/svg"
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        class="cost-bars"
        aria-label="Bytes by cell and bit width; the figures are in the table below."
      >
        {parts.map((part, index) => {
          const y = index * ROW + 4;
          const binary = breadth(part.bits1);
          const real = breadth(part.bits32);
          return (
            <g key={part.key}>
              <text x={left - 8} y={y + 13} text-anchor="end">
                {part.name}
              </text>
              <rect x={left} y={y} width={binary} height={ROW - 8} class="bits-1" />
              <rect x={left + binary} y={y} width={real} height={ROW - 8} class="bits-32" />
              <text x={left + binary + real + 6} y={y + 13} class="axis">
                {bytes(part.bits1 + part.bits32)}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
