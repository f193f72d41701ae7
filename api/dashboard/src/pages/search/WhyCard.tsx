import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useResource } from "../../live/resource";
import { csvOf } from "../../pictures/csv";
import { HistoryChart } from "../../pictures/HistoryChart";
import { figureWords } from "../../pictures/heat";
import { WhyChart } from "../../pictures/WhyChart";
import { type WhyRow, whyRows, whySentence } from "../../pictures/why";
import { type ArmFacts, type ArmTable, boundWords, leadingOf, type Slot, unitWords } from "../../state/arm-table";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { NONE } from "../../ui/format";
import { Loaded, Skeleton } from "../../ui/States";
import { type Column, Table } from "../../ui/Table";
import { type HistoryData, load, paths } from "./data";
import type { SearchModel } from "./model";

function columnsOf(facts: ArmFacts): Column<WhyRow>[] {
  const figure = (value: number | null) => (value === null ? NONE : figureWords(facts, value));
  return [
    { key: "operation", title: "operation", cell: (row) => row.operation },
    { key: "mean", title: "mean", isNumber: true, cell: (row) => figure(row.mean) },
    { key: "lower", title: "lower", isNumber: true, cell: (row) => figure(row.lower) },
    { key: "upper", title: "upper", isNumber: true, cell: (row) => figure(row.upper) },
    { key: "fate", title: "pulls", cell: (row) => row.words },
  ];
}

const HEAD = ["operation", "pulls", "mean", "lower", "upper", "abandoned_round"];

function Reasons({ model, table, slot }: { model: SearchModel; table: ArmTable; slot: Slot }) {
  const rows = whyRows(table, slot);
  return (
    <Figure
      title={`Dot: mean (${unitWords(table.facts)})`}
      unit={boundWords(table.facts)}
      csv={() =>
        csvOf(
          HEAD,
          rows.map((row) => [row.operation, row.pulls, row.mean, row.lower, row.upper, row.abandonedRound]),
        )
      }
      svg="inside"
      request={paths.arms(model.id, table.at, slot.cell, slot.edge.name)}
      name={`why-${slot.cell}-${slot.edge.name}-${table.at}`}
    >
      <WhyChart
        {...{ table, slot }}
        operation={model.selection.value.operation}
        onChoose={(operation) => model.choose({ edge: slot.key, operation })}
      />
      <p class="why-sentence">{whySentence(table, slot)}</p>
      {table.facts.meaning ? <p class="quiet why-meaning">{table.facts.meaning.replaceAll("`", "")}</p> : null}
      <details class="twin">
        <summary>The same as a table</summary>
        <Table
          caption={`Arms of ${slot.cell} ${slot.edge.name}`}
          columns={columnsOf(table.facts)}
          {...{ rows }}
          rowKey={(row) => row.position}
        />
      </details>
    </Figure>
  );
}

/** Asked for once the panel can be seen, and anew when another edge is chosen or a round ends. */
function useIsSeen() {
  const ref = useRef<HTMLDivElement>(null);
  const isSeen = useSignal(false);
  useEffect(() => {
    if (!ref.current) return undefined;
    const watch = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) isSeen.value = true;
    });
    watch.observe(ref.current);
    return () => watch.disconnect();
  }, []);
  return { ref, isSeen };
}

function History({ model, table, slot }: { model: SearchModel; table: ArmTable; slot: Slot }) {
  const { ref, isSeen } = useIsSeen();
  const turn = model.isOver.value ? "over" : model.rounds.value.length;
  const key = isSeen.value ? `${slot.key}/${turn}` : null;
  const history = useResource<HistoryData>(key, () => load.history(model.id, slot.cell, slot.edge.name));
  const leading = leadingOf(table, slot);
  const shown = model.selection.value.operation ?? slot.edge.operations[(leading ?? -1) - slot.first] ?? null;
  const request = paths.history(model.id, slot.cell, slot.edge.name);
  const isComing = history.data.value === null && history.error.value === null;
  return (
    <div ref={ref} class="why-history">
      {isComing ? (
        <>
          <p class="quiet">Over samples: the history of this edge is being worked out.</p>
          <Skeleton rows={5} label="Loading the history" />
        </>
      ) : (
        <Loaded resource={history}>
          {(data) => (
            <Figure
              title="Over samples"
              unit={`means of all; bounds of ${shown ?? "none"}, cut at the rim`}
              csv={() =>
                csvOf(
                  ["samples", "operation", "pulls", "mean", "lower", "upper"],
                  data.operations.flatMap((one) =>
                    data.at.map((at, place) => [
                      at,
                      one.operation,
                      one.pulls[place] ?? null,
                      one.mean[place] ?? null,
                      one.lower[place] ?? null,
                      one.upper[place] ?? null,
                    ]),
                  ),
                )
              }
              svg="inside"
              request={request}
              name={`history-${slot.cell}-${slot.edge.name}`}
            >
              <HistoryChart
                at={data.at}
                lines={data.operations.map((one) => ({ ...one, abandonedRound: one.abandoned_round }))}
                facts={table.facts}
                shown={shown}
                now={table.at}
                onChoose={(operation) => model.choose({ operation })}
              />
            </Figure>
          )}
        </Loaded>
      )}
    </div>
  );
}

/** Why the chosen edge is as it is: dots, bounds, and one sentence. */
export function WhyCard({ model }: { model: SearchModel }) {
  const table = model.table.value;
  const { slot } = model.selection.value;
  if (!table || !slot) return null;
  return (
    <Card title={`Why: edge ${slot.cell} ${slot.edge.name}`} class="why-card">
      <Reasons {...{ model, table, slot }} />
      <History {...{ model, table, slot }} />
    </Card>
  );
}
