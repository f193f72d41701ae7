import { attackRows, RobustnessChart, underAttack } from "../../pictures/RobustnessChart";
import type { Candidate, Names } from "../../state/training-data";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { count, fixed, percent } from "../../ui/format";
import { type Column, Table } from "../../ui/Table";
import { requests } from "./data";
import type { PartProps } from "./Sections";
import { attacksCsv } from "./tables";

/** Say what a candidate stands, and whether its gradients hide how weak it is. */
export function robustnessWords(candidate: Candidate): string {
  const figures = candidate.metrics?.robustness;
  if (!figures) return "";
  const worst = `${percent(figures.worst)} of ${count(figures.images)} test images stand every attack`;
  if (figures.masked_by.length === 0) return `${worst}; its gradients are not masked`;
  return `${worst}; its gradients are masked: ${figures.masked_by.join(", ")} did more damage than any plain white-box attack`;
}

function shortName(candidate: Candidate, names: Names): string {
  return `${names.letter(candidate.method_label)} ${candidate.method_label} on ${names.number(candidate.architecture_id)}, seed ${candidate.seed}`;
}

/** What was attacked, and what is left of it. */
export function RobustnessPart({ data, shared }: PartProps) {
  const attacked = data.candidates.filter((candidate) => candidate.metrics?.robustness);
  const [first] = attacked;
  if (!first) return null;
  const rows = attackRows(attacked);
  const sizes = [...new Set(attacked.map((candidate) => fixed(candidate.metrics?.robustness?.eps, 4)))];
  const columns: readonly Column<Candidate>[] = [
    { key: "candidate", title: "candidate", cell: (one) => <span class="user-text">{shortName(one, shared.names)}</span> },
    ...rows.map(
      (row): Column<Candidate> => ({ key: row, title: row, isNumber: true, cell: (one) => percent(underAttack(one, row)) }),
    ),
  ];
  return (
    <Card title="Robustness">
      <Figure
        title="Accuracy by attack"
        unit={`share of the test images, eps ${sizes.join(" and ")} of a pixel in [0, 1]; a letter is a candidate`}
        csv={() => attacksCsv(attacked)}
        svg="inside"
        request={requests.candidates(data.job.id)}
      >
        <RobustnessChart {...shared} candidates={attacked} />
        <details>
          <summary>The same as a table</summary>
          <Table caption="Test accuracy by candidate and attack" columns={columns} rows={attacked} rowKey={(one) => one.id} />
        </details>
      </Figure>
      <ul class="plain">
        {attacked.map((candidate) => (
          <li key={candidate.id} class={candidate.metrics?.robustness?.masked_by.length ? "fault" : ""}>
            <span class="user-text">{shortName(candidate, shared.names)}</span>: {robustnessWords(candidate)}
          </li>
        ))}
      </ul>
    </Card>
  );
}
