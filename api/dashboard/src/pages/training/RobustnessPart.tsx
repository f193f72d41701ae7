import { attackRows, RobustnessChart, underAttack } from "../../pictures/RobustnessChart";
import type { Candidate, Names } from "../../state/training-data";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { count, fixed, percent, plural } from "../../ui/format";
import { type Column, Table } from "../../ui/Table";
import { requests } from "./data";
import type { PartProps } from "./Sections";
import { attacksCsv } from "./tables";

/** Say what the candidates of a method stand, and whether their gradients hide how weak they are. */
export function robustnessWords(candidates: readonly Candidate[]): string {
  const figures = candidates.flatMap((candidate) => candidate.metrics?.robustness ?? []);
  const worst = figures.map((entry) => entry.worst);
  const [low, high] = [percent(Math.min(...worst)), percent(Math.max(...worst))];
  const images = [...new Set(figures.map((entry) => count(entry.images)))].join(" or ");
  const stands = `${low === high ? low : `${low} to ${high}`} of ${images} test images stand every attack (${plural(figures.length, "candidate")})`;
  const masked = figures.filter((entry) => entry.masked_by.length > 0);
  if (masked.length === 0) return `${stands}; no gradients are masked`;
  const by = [...new Set(masked.flatMap((entry) => entry.masked_by))].join(", ");
  return `${stands}; gradients are masked in ${masked.length} of ${figures.length}: ${by} did more damage than any plain white-box attack`;
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
        {shared.names.methods.map((method) => {
          const own = attacked.filter((candidate) => candidate.method_label === method);
          const isMasked = own.some((candidate) => candidate.metrics?.robustness?.masked_by.length);
          return own.length === 0 ? null : (
            <li key={method} class={isMasked ? "fault" : ""}>
              <span class="user-text">{`${shared.names.letter(method)} ${method}`}</span>: {robustnessWords(own)}
            </li>
          );
        })}
      </ul>
    </Card>
  );
}
