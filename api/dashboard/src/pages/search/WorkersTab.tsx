import { getJson } from "../../api/client";
import { useResource } from "../../live/resource";
import { now } from "../../state/clock";
import { age, NONE } from "../../ui/format";
import { Empty, Loaded } from "../../ui/States";
import { Table } from "../../ui/Table";
import type { SearchModel } from "./model";

interface Worker {
  readonly id: string;
  readonly host: string | null;
  readonly device: string | null;
  readonly job: string;
  readonly doing: string;
  readonly since: string | null;
}

/** Which processes work for the search. */
export function WorkersTab({ model }: { model: SearchModel }) {
  const system = useResource<{ workers: readonly Worker[] }>(`/v1/system/${model.job.value?.state}`, (signal) =>
    getJson("/v1/system", signal),
  );
  return (
    <Loaded resource={system}>
      {(data) => {
        const rows = data.workers.filter((worker) => worker.job === model.id);
        if (rows.length === 0) return <Empty title="No process works for it now" />;
        return (
          <Table
            caption="Processes of this search"
            rows={rows}
            rowKey={(row) => row.id}
            columns={[
              { key: "id", title: "process", cell: (row) => row.id },
              { key: "host", title: "host", isMinor: true, cell: (row) => row.host ?? NONE },
              { key: "device", title: "device", cell: (row) => row.device ?? NONE },
              { key: "doing", title: "does", cell: (row) => row.doing },
              { key: "since", title: "since", cell: (row) => age(row.since, now.value) },
            ]}
          />
        );
      }}
    </Loaded>
  );
}
