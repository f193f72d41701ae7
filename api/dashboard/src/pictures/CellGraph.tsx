import { type ArmTable, armsOf, leadingOf, type Slot } from "../state/arm-table";
import { type Bundle, layOutCell } from "./cell-layout";
import { useWidth } from "./width";

interface CellGraphProps {
  readonly table: ArmTable;
  readonly slots: readonly Slot[];
  readonly chosen: Slot;
  readonly operation: string | null;
  readonly height: number;
  readonly onChoose: (slot: Slot) => void;
}

const LABELLED_UP_TO = 6; // edges of a cell; of more, only the chosen one's label is drawn

function labelOf(table: ArmTable, slot: Slot): string {
  const arms = armsOf(table, slot);
  const leading = leadingOf(table, slot);
  const name = arms.find((arm) => arm.position === leading)?.operation ?? "none leads yet";
  return `${name}, ${arms.filter((arm) => arm.isAlive).length} left`;
}

/** The cell of the chosen edge: a bundle of operations an edge, the leading one bold, abandoned ones dotted. */
export function CellGraph({ table, slots, chosen, operation, height, onChoose }: CellGraphProps) {
  const { ref, width } = useWidth<HTMLDivElement>(560);
  const edges = slots.filter((slot) => slot.cell === chosen.cell);
  const nodes = Math.max(...edges.map((slot) => slot.edge.target)) + 1;
  const layout = layOutCell(
    nodes,
    table.inputs,
    edges.map((slot) => ({
      source: slot.edge.source,
      target: slot.edge.target,
      operations: slot.edge.operations.length,
      isChosen: slot.key === chosen.key,
      label: edges.length <= LABELLED_UP_TO || slot.key === chosen.key ? labelOf(table, slot) : null,
    })),
    width,
    height,
  );
  const words = edges.map((slot) => `${slot.edge.name}: ${labelOf(table, slot)}`).join("; ");
  return (
    <div ref={ref} class="picture">
      <svg
        xmlns="http://www.w3.org/2000/svg"
        width={layout.width}
        height={layout.height}
        viewBox={`0 0 ${layout.width} ${layout.height}`}
        role="img"
        aria-label={`Cell ${chosen.cell} after ${table.at} samples. ${words}`}
        class="cell-graph"
      >
        {edges.map((slot, index) => (
          <Edge
            key={slot.key}
            {...{ table, slot, operation }}
            bundle={layout.bundles[index]}
            isChosen={slot.key === chosen.key}
            onChoose={() => onChoose(slot)}
          />
        ))}
        {layout.nodes.map((node) => (
          <g key={node.label} class="node">
            <circle cx={node.x} cy={node.y} r={layout.radius} />
            <text x={node.x} y={node.y + 4} text-anchor="middle">
              {node.label}
            </text>
          </g>
        ))}
        {layout.bundles.map(({ label }, index) =>
          label ? (
            <text
              key={edges[index]?.key}
              x={label.x}
              y={label.y}
              text-anchor="middle"
              class={edges[index]?.key === chosen.key ? "edge-label chosen" : "edge-label"}
            >
              {label.text}
            </text>
          ) : null,
        )}
      </svg>
    </div>
  );
}

interface EdgeProps {
  readonly table: ArmTable;
  readonly slot: Slot;
  readonly bundle: Bundle | undefined;
  readonly isChosen: boolean;
  readonly operation: string | null;
  readonly onChoose: () => void;
}

/** Pointing at a bundle chooses its edge; by keyboard that is what the table of arms is for. */
function Edge({ table, slot, bundle, isChosen, operation, onChoose }: EdgeProps) {
  if (!bundle) return null;
  const leading = leadingOf(table, slot);
  const arms = armsOf(table, slot).map((arm, place) => ({ ...arm, path: bundle.paths[place] ?? "" }));
  const classOf = (arm: (typeof arms)[number]) => {
    const base = arm.position === leading ? "arm-leading" : arm.isAlive ? "arm-live" : "arm-abandoned";
    return arm.operation === operation && isChosen ? `${base} arm-chosen` : base;
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the same is a Tab stop in the table of arms
    <g class={isChosen ? "bundle chosen" : "bundle"} onClick={onChoose} data-edge={slot.key}>
      <path d={bundle.spine} class="bundle-ground" stroke-width={bundle.breadth} />
      {[...arms]
        .sort((a, b) => Number(a.position === leading) - Number(b.position === leading))
        .map((arm) => (
          <path key={arm.position} d={arm.path} class={classOf(arm)} data-operation={arm.operation} />
        ))}
    </g>
  );
}
