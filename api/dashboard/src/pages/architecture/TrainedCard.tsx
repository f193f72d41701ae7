import { getJson } from "../../api/client";
import { useResource } from "../../live/resource";
import { CandidateFiles } from "../../ui/CandidateFiles";
import { Card } from "../../ui/Card";
import { percent } from "../../ui/format";
import { StateMark } from "../../ui/StateMark";
import { Empty, Loaded } from "../../ui/States";
import { type Column, Table } from "../../ui/Table";
import { type Candidate, type Page, paths } from "./data";

function nameOf(method: Readonly<Record<string, unknown>>): string {
  return typeof method.name === "string" ? method.name : JSON.stringify(method);
}

const COLUMNS: Column<Candidate>[] = [
  {
    key: "method",
    title: "method",
    cell: (row) => (
      <a href={`/trainings/${row.training_id}?candidate=${row.id}`}>
        {(row as Candidate & { method_label?: string }).method_label ?? nameOf(row.method)}
      </a>
    ),
  },
  { key: "seed", title: "seed", isNumber: true, cell: (row) => row.seed },
  { key: "state", title: "state", cell: (row) => <StateMark state={row.state} /> },
  { key: "validation", title: "validation", isNumber: true, isMinor: true, cell: (row) => percent(row.validation_accuracy) },
  { key: "test", title: "test", isNumber: true, cell: (row) => percent(row.test_accuracy) },
  {
    key: "files",
    title: "files",
    cell: (row) =>
      row.state === "succeeded" ? <CandidateFiles id={row.id} words={`${nameOf(row.method)}, seed ${row.seed}`} /> : null,
  },
];

/** Networks that were trained of the architecture, by method and seed, and their files. */
export function TrainedCard({ id }: { id: string }) {
  const url = paths.candidates(id);
  const trained = useResource<Page<Candidate>>(url, (signal) => getJson(url, signal));
  return (
    <Card title="Trained">
      <Loaded resource={trained}>
        {(data) =>
          data.items.length === 0 ? (
            <Empty title="Not trained yet" command={`nas training submit --architecture ${id} --method bnn`} />
          ) : (
            <>
              <Table
                caption="Trained networks"
                columns={COLUMNS}
                rows={[...data.items].sort((a, b) => nameOf(a.method).localeCompare(nameOf(b.method)) || a.seed - b.seed)}
                rowKey={(row) => row.id}
              />
              <p class="quiet">
                A bundle runs without this service: <code>unzip bundle.zip -d net && python net/model.py</code>
              </p>
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
