import { CorrelationChart } from "../../pictures/CorrelationChart";
import { foretoldOf, foretoldWords } from "../../pictures/correlation";
import { Matrix, spreadWords } from "../../pictures/Matrix";
import { Legend, type Shared } from "../../pictures/marks";
import { COST_WORDS, ParetoChart } from "../../pictures/ParetoChart";
import { type CostName, membersOf } from "../../pictures/pareto";
import { TimelineChart } from "../../pictures/TimelineChart";
import { timelineOf } from "../../pictures/timeline";
import { now } from "../../state/clock";
import { queryValue, setQuery } from "../../state/router";
import type { Pair } from "../../state/training-data";
import type { TrainingData } from "../../state/training-events";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { amount, bytes, count, percent, plural } from "../../ui/format";
import { type Column, Table } from "../../ui/Table";
import { requests } from "./data";
import { paretoCsv, scoresCsv, timesCsv } from "./tables";

export interface PartProps {
  data: TrainingData;
  shared: Shared;
}

export function MatrixPart({ data, shared }: PartProps) {
  const { pairs } = data.comparison;
  const request = requests.comparison(data.job.id);
  return (
    <Card title="Methods by architectures">
      <Legend {...shared} />
      {pairs.length === 0 ? (
        <p class="quiet">No candidate is finished yet: the first pair appears here when one is.</p>
      ) : (
        <Figure
          title="Test accuracy"
          unit="% of test images, mean ± standard deviation over seeds; a dot is a seed"
          csv={`${request}?format=csv`}
          request={request}
        >
          <Matrix {...shared} pairs={pairs} />
        </Figure>
      )}
    </Card>
  );
}

function isCost(text: string): text is CostName {
  return text === "ops" || text === "packed_bytes";
}

export function ParetoPart({ data, shared }: PartProps) {
  const asked = queryValue("cost").value;
  const cost: CostName = isCost(asked) ? asked : "ops";
  const { pairs, hand_made: handMade, pareto } = data.comparison;
  if (pairs.length === 0) return null;
  const attacks = pareto.filter((front) => front.accuracy === "attacked" && front.cost === cost);
  return (
    <Card
      title="Accuracy over cost"
      actions={
        <label>
          Cost{" "}
          <select
            value={cost}
            onChange={(event) => setQuery({ cost: event.currentTarget.value === "ops" ? null : event.currentTarget.value })}
          >
            <option value="ops">OPs</option>
            <option value="packed_bytes">bytes</option>
          </select>
        </label>
      }
    >
      <Figure
        title="Pareto front"
        unit={`test accuracy over ${COST_WORDS[cost]}; ○ clean, × stands every attack${handMade.length > 0 ? ", □ hand-made" : ""}; filled or bold: no other pair is better and cheaper`}
        csv={() => paretoCsv(pairs)}
        svg="inside"
        request={requests.comparison(data.job.id)}
      >
        <ParetoChart {...shared} pairs={pairs} handMade={handMade} fronts={pareto} cost={cost} />
        {attacks.length > 1 ? (
          <p class="quiet">The candidates were attacked in {attacks.length} ways: each has a front of its own, all are marked.</p>
        ) : null}
        <ParetoTable data={data} shared={shared} cost={cost} />
      </Figure>
    </Card>
  );
}

function ParetoTable(props: PartProps & { cost: CostName }) {
  const { shared, cost } = props;
  const { pairs, pareto } = props.data.comparison;
  const members = membersOf(pareto, cost);
  const on = (kind: "clean" | "attacked", pair: Pair) =>
    members[kind].has(JSON.stringify([pair.method, pair.architecture])) ? "on the front" : "";
  const columns: readonly Column<Pair>[] = [
    {
      key: "method",
      title: "method",
      cell: (pair) => <span class="user-text">{`${shared.names.letter(pair.method)} ${pair.method}`}</span>,
    },
    {
      key: "architecture",
      title: "architecture",
      cell: (pair) => <a href={`/architectures/${pair.architecture}`}>{shared.names.number(pair.architecture)}</a>,
    },
    { key: "clean", title: "clean", isNumber: true, cell: (pair) => percent(pair.test_mean) },
    { key: "clean-front", title: "front, clean", cell: (pair) => on("clean", pair) },
    { key: "attacked", title: "stands all attacks", isNumber: true, cell: (pair) => percent(pair.attacked_mean) },
    { key: "attacked-front", title: "front, attacked", cell: (pair) => on("attacked", pair) },
    { key: "ops", title: "OPs", isNumber: true, cell: (pair) => amount(pair.ops) },
    { key: "bytes", title: "packed", isNumber: true, cell: (pair) => bytes(pair.packed_bytes) },
    { key: "spread", title: "spread, clean", isMinor: true, cell: (pair) => spreadWords(pair.test_spread) },
    {
      key: "class",
      title: "worst class",
      isMinor: true,
      cell: (pair) =>
        pair.worst_class === null ? "" : <span class="user-text">{`${pair.worst_class} ${percent(pair.worst_class_mean)}`}</span>,
    },
  ];
  return (
    <details>
      <summary>The same as a table</summary>
      <Table
        caption="Pairs: accuracy and cost"
        columns={columns}
        rows={pairs}
        rowKey={(pair) => `${pair.method} ${pair.architecture}`}
      />
    </details>
  );
}

export function ScorePart({ data, shared }: PartProps) {
  const pairs = data.comparison.pairs.filter((pair) => pair.control === null);
  if (pairs.length === 0) return null;
  return (
    <Card title="Did the search foretell it?">
      <Figure
        title="Score of the search against trained accuracy"
        unit="mean test accuracy over seeds"
        csv={() => scoresCsv(pairs)}
        svg="inside"
        request={requests.comparison(data.job.id)}
      >
        <CorrelationChart {...shared} pairs={pairs} />
      </Figure>
      <ul class="plain">
        {foretoldOf(data.comparison).map((entry) => (
          <li key={entry.method}>
            <strong>{shared.names.letter(entry.method)}</strong> <span class="user-text">{entry.method}</span>:{" "}
            {foretoldWords(entry)}
          </li>
        ))}
      </ul>
    </Card>
  );
}

export function TimelinePart({ data, shared }: PartProps) {
  const isOver = data.job.finished_at !== null;
  const timeline = timelineOf(data.candidates, isOver ? Date.parse(data.job.finished_at ?? "") : now.value);
  if (timeline.lanes.length === 0) return null;
  return (
    <Card title="Who trained what when">
      <Figure
        title="Timeline by worker"
        unit="full: training; striped: attacks; dashed: not over"
        csv={() => timesCsv(data.candidates)}
        svg="inside"
        request={requests.candidates(data.job.id)}
      >
        <TimelineChart {...shared} timeline={timeline} />
        <p class="quiet">
          {count(timeline.lanes.length)} {timeline.lanes.length === 1 ? "process" : "processes"}
          {timeline.waiting > 0 ? `; ${plural(timeline.waiting, "candidate")} not begun` : ""}
        </p>
      </Figure>
    </Card>
  );
}
