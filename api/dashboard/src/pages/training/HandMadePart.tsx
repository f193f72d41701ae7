import { useSignal } from "@preact/signals";
import { send, type View } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import type { HandMade } from "../../state/training-data";
import { Card } from "../../ui/Card";
import { ErrorBox } from "../../ui/ErrorBox";
import { fixed, percent, plural, signed } from "../../ui/format";
import { type Column, Table } from "../../ui/Table";
import type { PartProps } from "./Sections";

function gainWords(line: HandMade): string {
  const error = line.gain_error === null ? "" : ` ± ${fixed(line.gain_error * 100)}`;
  return `${signed(line.gain * 100)}${error}`;
}

/** What was found beside networks of the literature that cost as much: what a search is for. */
export function HandMadePart({ data, shared }: PartProps) {
  const { hand_made: lines, under_way: live, networks, pairs } = data.comparison;
  if (networks.length === 0 || pairs.length === 0) return null;
  const without = [...new Set(pairs.map((pair) => pair.method))].filter((method) =>
    lines.every((line) => line.method !== method),
  );
  const columns: readonly Column<HandMade>[] = [
    {
      key: "method",
      title: "method",
      cell: (line) => <span class="user-text">{`${shared.names.letter(line.method)} ${line.method}`}</span>,
    },
    {
      key: "architecture",
      title: "architecture",
      cell: (line) => <a href={`/architectures/${line.architecture}`}>{shared.names.number(line.architecture)}</a>,
    },
    {
      key: "network",
      title: "hand-made",
      cell: (line) => <a href={`/trainings/${line.training}`}>{line.network}</a>,
    },
    { key: "its", title: "its test accuracy", isNumber: true, cell: (line) => percent(line.test_mean) },
    { key: "gain", title: "gain", unit: "points, standard error", isNumber: true, cell: gainWords },
    { key: "ops", title: "OPs, found / hand-made", isNumber: true, cell: (line) => fixed(line.ops_ratio, 2) },
    { key: "bytes", title: "bytes, found / hand-made", isNumber: true, cell: (line) => fixed(line.bytes_ratio, 2) },
    { key: "seeds", title: "its seeds", isNumber: true, isMinor: true, cell: (line) => plural(line.seeds, "seed") },
  ];
  return (
    <Card title="Beside networks of the literature" actions={<TrainOne id={data.job.id} networks={networks} />}>
      {lines.length === 0 ? (
        <p class="quiet">
          None of like cost was trained alike yet, to its end: what the search gained over a network made by hand is not known.
        </p>
      ) : (
        <>
          <p class="quiet">
            Hand-made networks of like cost (OPs within a factor of 1.5), trained with the same recipe on the same images.
          </p>
          <Table
            caption="Gain over hand-made networks of like cost"
            columns={columns}
            rows={lines}
            rowKey={(line) => `${line.method} ${line.architecture}`}
          />
          {without.length > 0 ? (
            <p class="quiet">
              None of like cost was trained alike with <span class="user-text">{without.join(", ")}</span>.
            </p>
          ) : null}
        </>
      )}
      {live.map((one) => (
        <p key={one.job}>
          <a href={one.kind === "search" ? `/searches/${one.job}` : `/trainings/${one.job}`}>{one.network}</a> is {one.state}, to
          be trained alike.
        </p>
      ))}
    </Card>
  );
}

/** Ask for one to be trained, as wide as costs as much. */
function TrainOne(props: { id: string; networks: readonly string[] }) {
  const network = useSignal(props.networks.includes("resnet-20") ? "resnet-20" : (props.networks[0] ?? ""));
  const isSending = useSignal(false);
  const started = useSignal<View<"JobView"> | null>(null);
  const failure = useSignal<ApiProblem | null>(null);

  async function begin(): Promise<void> {
    if (isSending.peek()) return;
    isSending.value = true;
    failure.value = null;
    try {
      const job = await send<View<"JobView">>("POST", `/v1/trainings/${encodeURIComponent(props.id)}/hand-made`, {
        network: network.peek(),
      });
      started.value = job ?? null;
    } catch (error) {
      failure.value = error instanceof ApiProblem ? error : new ApiProblem(0, "away", "This was not done", String(error));
    } finally {
      isSending.value = false;
    }
  }

  return (
    <div class="buttons">
      <label>
        Network{" "}
        <select
          value={network.value}
          onChange={(event) => {
            network.value = event.currentTarget.value;
            started.value = null;
          }}
        >
          {props.networks.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button type="button" disabled={isSending.value || started.value !== null} onClick={() => void begin()}>
        train it alike
      </button>
      {started.value ? (
        <span role="status">
          {started.value.state}: <a href={`/searches/${started.value.id}`}>its page</a>
        </span>
      ) : null}
      {failure.value ? <ErrorBox problem={failure.value} /> : null}
    </div>
  );
}
