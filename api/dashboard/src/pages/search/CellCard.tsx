import { CellGraph } from "../../pictures/CellGraph";
import { csvOf } from "../../pictures/csv";
import { armsOf, leadingOf } from "../../state/arm-table";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { paths } from "./data";
import type { SearchModel } from "./model";

const HEIGHT = 330;

function Cells({ model }: { model: SearchModel }) {
  const { slot } = model.selection.value;
  const cells = [...new Map(model.slots.value.map((one) => [one.cell, one])).values()];
  if (cells.length < 2) return null;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would frame them
    <div class="cell-choice" role="group" aria-label="Cell that is drawn">
      {cells.map((first) => (
        <button
          key={first.cell}
          type="button"
          aria-pressed={slot?.cell === first.cell}
          onClick={() => model.choose({ edge: first.key, operation: null })}
        >
          {first.cell}
        </button>
      ))}
    </div>
  );
}

/** The cell of the chosen edge, as it is after the shown sample. */
export function CellCard({ model }: { model: SearchModel }) {
  const table = model.table.value;
  const { slot, operation } = model.selection.value;
  if (!table || !slot) return null;
  const slots = model.slots.value;
  const edges = slots.filter((one) => one.cell === slot.cell);
  const csv = () =>
    csvOf(
      ["cell", "edge", "leading", "left"],
      edges.map((one) => {
        const arms = armsOf(table, one);
        const leading = leadingOf(table, one);
        const name = arms.find((arm) => arm.position === leading)?.operation ?? null;
        return [one.cell, one.edge.name, name, arms.filter((arm) => arm.isAlive).length];
      }),
    );
  return (
    <Card title={`Cell ${slot.cell} after ${table.at} samples`} actions={<Cells model={model} />}>
      <Figure
        title="Operations by edge"
        unit="orange: leads; blue: alive; dotted: abandoned"
        csv={csv}
        svg="inside"
        request={paths.table(model.id, model.replay.at.value)}
        name={`cell-${slot.cell}-${table.at}`}
      >
        <CellGraph
          {...{ table, slots, operation }}
          chosen={slot}
          height={HEIGHT}
          onChoose={(one) => model.choose({ edge: one.key, operation: null })}
        />
      </Figure>
    </Card>
  );
}
