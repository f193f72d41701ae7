import { csvOf } from "../../pictures/csv";
import { HeatMap } from "../../pictures/HeatMap";
import { type ArmTable, armsOf, slotsOf, unitWords } from "../../state/arm-table";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { paths } from "./data";
import type { SearchModel } from "./model";

const HEAD = ["cell", "edge", "operation", "pulls", "mean", "lower", "upper", "abandoned_round"];

function csv(table: ArmTable): string {
  const rows = slotsOf(table).flatMap((slot) =>
    armsOf(table, slot).map((arm) => [
      slot.cell,
      slot.edge.name,
      arm.operation,
      arm.pulls,
      arm.mean,
      arm.lower,
      arm.upper,
      arm.abandonedRound,
    ]),
  );
  return csvOf(HEAD, rows);
}

function Legend() {
  return (
    <p class="legend quiet">
      against the mean of its edge: worse <span class="legend-ramp" aria-hidden="true" /> better · bar: pulls · <s>round n</s>:
      abandoned at its end · frame: leads
    </p>
  );
}

/** All arms: what each is worth beside those that it competes with. */
export function ArmsCard({ model }: { model: SearchModel }) {
  const table = model.table.peek();
  if (!table) return null;
  const caption = `Arms: ${slotsOf(table).length} edges, ${table.operations.length} operations`;
  return (
    <Card title={caption} class="arms-card">
      <Figure
        title="Mean"
        unit={unitWords(table.facts)}
        csv={() => {
          const now = model.table.peek();
          return now ? csv(now) : "";
        }}
        request={paths.table(model.id, model.replay.at.value)}
        name="arms"
      >
        <Legend />
        <HeatMap
          table={model.table}
          chosen={model.selection}
          caption={caption}
          onChoose={(slot, operation) => model.choose({ edge: slot.key, operation })}
        />
      </Figure>
    </Card>
  );
}
