import { toggled } from "../../pictures/marks";
import { type Candidate, isChosen, isLit } from "../../state/training-data";
import type { Attacked } from "../../state/training-events";
import { CandidateFiles } from "../../ui/CandidateFiles";
import { Card } from "../../ui/Card";
import { percent, seconds } from "../../ui/format";
import { StateMark } from "../../ui/StateMark";
import { TooMuch } from "../../ui/States";
import { type Column, Table } from "../../ui/Table";
import type { PartProps } from "./Sections";

const MOST = 200;

function epochs(candidate: Candidate): string {
  const { epochs_done: done, epochs_total: total } = candidate;
  return total === null || total === undefined ? String(done) : `${done} of ${total}`;
}

function attacked(candidate: Candidate, ended: readonly Attacked[] | undefined): string {
  const figures = candidate.metrics?.robustness;
  if (figures) return percent(figures.worst);
  const last = ended?.at(-1);
  return last && ended ? `${ended.length} done, ${last.attack} ${percent(last.accuracy)}` : percent(null);
}

/** Every candidate with what is known of it; those that are chosen first. */
export function CandidatesPart({ data, shared }: PartProps) {
  const { names, selection } = shared;
  const lit = (one: Candidate) =>
    isLit(selection, { method: one.method_label, architecture: one.architecture_id, candidate: one.id });
  const rows = [...data.candidates].sort((left, right) => Number(lit(right)) - Number(lit(left)));
  const words = (one: Candidate) => `${names.letter(one.method_label)}${names.number(one.architecture_id)}, seed ${one.seed}`;
  const columns: readonly Column<Candidate>[] = [
    {
      key: "choose",
      title: "candidate",
      cell: (one) => (
        <button
          type="button"
          class="link"
          aria-pressed={selection.candidate === one.id}
          onClick={() =>
            shared.onSelect(
              toggled(shared.chosen, { method: one.method_label, architecture: one.architecture_id, candidate: one.id }),
            )
          }
        >
          {words(one)}
        </button>
      ),
    },
    { key: "state", title: "state", cell: (one) => <StateMark state={one.state} /> },
    { key: "method", title: "method", isMinor: true, cell: (one) => <span class="user-text">{one.method_label}</span> },
    { key: "epochs", title: "epochs", isNumber: true, cell: epochs },
    { key: "validation", title: "validation", isNumber: true, cell: (one) => percent(one.validation_accuracy) },
    { key: "test", title: "test", isNumber: true, cell: (one) => percent(one.test_accuracy) },
    { key: "attacked", title: "stands all attacks", isNumber: true, cell: (one) => attacked(one, data.attacks.get(one.id)) },
    { key: "seconds", title: "training", isNumber: true, cell: (one) => (one.seconds > 0 ? seconds(one.seconds) : "") },
    {
      key: "attack",
      title: "attacks",
      isNumber: true,
      isMinor: true,
      cell: (one) => (one.attack_seconds ? seconds(one.attack_seconds) : ""),
    },
    { key: "worker", title: "worker", isMinor: true, cell: (one) => one.worker ?? "" },
    {
      key: "files",
      title: "files",
      cell: (one) => {
        if (one.error) return <span class="fault user-text">{one.error}</span>;
        return one.state === "succeeded" ? <CandidateFiles id={one.id} words={words(one)} /> : null;
      },
    },
  ];
  return (
    <Card title="Candidates">
      <TooMuch shown={Math.min(MOST, rows.length)} total={rows.length} what="candidates" />
      <Table
        caption="All candidates"
        columns={columns}
        rows={rows.slice(0, MOST)}
        rowKey={(one) => one.id}
        rowClass={(one) => (isChosen(selection) && lit(one) ? "chosen" : "")}
      />
    </Card>
  );
}
