import { getJson } from "../../api/client";
import { useResource } from "../../live/resource";
import { CostBars } from "../../pictures/CostBars";
import { csvOf } from "../../pictures/csv";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { amount, bytes, count } from "../../ui/format";
import { Loaded } from "../../ui/States";
import { type Column, Table } from "../../ui/Table";
import { type Cost, type CostPart, type CostRow, costByCell, paths } from "./data";

const BY_CELL: Column<CostPart>[] = [
  { key: "name", title: "part", cell: (row) => row.name },
  { key: "parameters", title: "parameters", isNumber: true, cell: (row) => count(row.parameters) },
  { key: "bits1", title: "1 bit", isNumber: true, cell: (row) => bytes(row.bits1) },
  { key: "bits32", title: "32 bit", isNumber: true, cell: (row) => bytes(row.bits32) },
  { key: "ops", title: "OPs", isNumber: true, cell: (row) => amount(row.ops) },
];

const BY_LAYER: Column<CostRow>[] = [
  { key: "cell", title: "cell", cell: (row) => (row.cell === null ? "" : `${row.cell} (${row.cell_type ?? ""})`) },
  { key: "edge", title: "edge", cell: (row) => row.edge ?? "" },
  { key: "operation", title: "operation", isMinor: true, cell: (row) => row.operation ?? "" },
  { key: "layer", title: "layer", cell: (row) => row.layer },
  { key: "bits", title: "bits", isNumber: true, cell: (row) => row.weight_bits },
  { key: "parameters", title: "parameters", isNumber: true, isMinor: true, cell: (row) => count(row.parameters) },
  { key: "ops", title: "OPs", isNumber: true, cell: (row) => amount(row.ops) },
  { key: "bytes", title: "size", isNumber: true, cell: (row) => bytes(row.bytes) },
];

const HEAD = [
  "cell",
  "cell_type",
  "edge",
  "operation",
  "layer",
  "weight_bits",
  "parameters",
  "flops",
  "bops",
  "ops",
  "bytes",
] as const;

function Layers({ rows }: { rows: readonly CostRow[] }) {
  return (
    <details class="twin">
      <summary>All {rows.length} layers</summary>
      <Table
        caption="Cost by layer"
        columns={BY_LAYER}
        rows={rows}
        rowKey={(row) => `${row.cell}/${row.edge}/${row.layer}/${row.weight_bits}`}
      />
    </details>
  );
}

/** What generated C takes on a microcontroller, or why there is none. */
function InC({ cost }: { cost: Cost }) {
  const { c } = cost;
  if (c === null) {
    return <p class="quiet">No C: {cost.c_refused}</p>;
  }
  return (
    <p class="quiet">
      As C on a Cortex-M4: about {bytes(c.flash_bytes)} of flash ({bytes(c.constant_bytes)} of them constants),{" "}
      {bytes(c.arena_bytes)} of RAM and the stack, and about {amount(c.cortex_m4_instructions)} instructions an image.
    </p>
  );
}

/** What the network weighs and computes, by cell and bit width. */
export function CostCard({ id }: { id: string }) {
  const url = paths.cost(id);
  const cost = useResource<Cost>(url, (signal) => getJson(url, signal));
  return (
    <Card title="Cost">
      <Loaded resource={cost} rows={6}>
        {(data) => {
          const parts = costByCell(data.rows);
          return (
            <Figure
              title="Bytes by cell"
              unit="in the frozen network"
              csv={() =>
                csvOf(
                  HEAD,
                  data.rows.map((row) => HEAD.map((name) => row[name])),
                )
              }
              svg="inside"
              request={url}
              name="cost"
            >
              <p class="legend quiet">
                <span class="mark mark-bits-1" aria-hidden="true">
                  ■
                </span>{" "}
                binary weights{" "}
                <span class="mark mark-bits-32" aria-hidden="true">
                  ■
                </span>{" "}
                32-bit
              </p>
              <CostBars parts={parts} />
              <Table caption="Cost by cell" columns={BY_CELL} rows={parts} rowKey={(row) => row.key} />
              <Layers rows={data.rows} />
              <InC cost={data} />
            </Figure>
          );
        }}
      </Loaded>
    </Card>
  );
}
