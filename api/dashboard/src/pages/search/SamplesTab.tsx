import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { getJson, type View } from "../../api/client";
import { useResource } from "../../live/resource";
import { isDark } from "../../state/theme";
import { amount, bytes, count, percent, seconds } from "../../ui/format";
import { Empty, Loaded } from "../../ui/States";
import { type Column, Table } from "../../ui/Table";
import { paths } from "./data";
import type { SearchModel } from "./model";

type Sample = View<"SampleView">;
interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

function columnsOf(model: SearchModel): Column<Sample>[] {
  return [
    {
      key: "index",
      title: "sample",
      isNumber: true,
      cell: (row) => (
        <button type="button" class="link" onClick={() => model.choose({ sample: row.index })}>
          {row.index}
        </button>
      ),
    },
    { key: "reward", title: "reward", isNumber: true, cell: (row) => percent(row.reward, 2) },
    { key: "fidelity", title: "of a training", isNumber: true, isMinor: true, cell: (row) => percent(row.fidelity, 0) },
    { key: "steps", title: "steps", isNumber: true, isMinor: true, cell: (row) => (row.steps === null ? "" : count(row.steps)) },
    { key: "clean", title: "clean", isNumber: true, isMinor: true, cell: (row) => percent(row.clean_accuracy) },
    { key: "attacked", title: "attacked", isNumber: true, isMinor: true, cell: (row) => percent(row.attacked_accuracy) },
    { key: "ops", title: "OPs", isNumber: true, cell: (row) => amount(row.cost.ops) },
    { key: "bytes", title: "packed", isNumber: true, isMinor: true, cell: (row) => bytes(row.cost.packed_bytes) },
    { key: "seconds", title: "took", isNumber: true, cell: (row) => seconds(row.seconds) },
    { key: "worker", title: "worker", isMinor: true, cell: (row) => row.worker },
  ];
}

function Chosen({ model }: { model: SearchModel }) {
  const { sample } = model.selection.value;
  if (sample === null) return null;
  const theme = isDark.value ? "dark" : "light";
  return (
    <figure class="sample-picture">
      <figcaption>Sample {sample}</figcaption>
      <img
        src={paths.sampleDiagram(model.id, sample, theme)}
        alt={`Cells of sample ${sample}, by edge and operation`}
        loading="lazy"
      />
    </figure>
  );
}

/** Say that samples came after those of the last page, and ask for them on request: what somebody reads does not move. */
function Newer(props: { model: SearchModel; page: Page<Sample>; onAsk: () => void }) {
  const last = props.page.items.at(-1);
  const missing = props.page.next || !last ? 0 : props.model.samples.value - last.index - 1;
  return missing > 0 ? (
    <button type="button" onClick={props.onAsk}>
      {missing} newer
    </button>
  ) : null;
}

/** Samples in order, a page at a time, from the service. */
export function SamplesTab({ model }: { model: SearchModel }) {
  const trail = useSignal<readonly (string | null)[]>([null]);
  const cursor = trail.value.at(-1) ?? null;
  const url = paths.samples(model.id, cursor);
  const looks = useSignal(0); // at this page
  const page = useResource<Page<Sample>>(`${url} ${looks.value}`, (signal) => getJson<Page<Sample>>(url, signal));
  const told = model.samples.value;
  const isEmpty = page.data.value?.items.length === 0;
  useEffect(() => {
    if (isEmpty && told > 0) page.reload(); // the first ones came; what is behind a page is told by its buttons
  }, [isEmpty, told]);
  return (
    <Loaded resource={page}>
      {(data) =>
        data.items.length === 0 ? (
          <Empty title="No sample yet" />
        ) : (
          <>
            <Chosen model={model} />
            <Table
              caption="Samples in order"
              columns={columnsOf(model)}
              rows={data.items}
              rowKey={(row) => row.index}
              rowClass={(row) => (row.index === model.selection.value.sample ? "chosen" : "")}
            />
            <p class="buttons pager">
              <button
                type="button"
                disabled={trail.value.length < 2}
                onClick={() => {
                  trail.value = trail.value.slice(0, -1);
                }}
              >
                Earlier
              </button>
              <button
                type="button"
                disabled={!data.next}
                onClick={() => {
                  trail.value = [...trail.value, data.next];
                }}
              >
                Later
              </button>
              <Newer model={model} page={data} onAsk={() => looks.value++} />
              <a class="button" href={paths.series(model.id, "csv")} download="samples.csv">
                CSV
              </a>
            </p>
          </>
        )
      }
    </Loaded>
  );
}
