import type { ControlLine, Controls } from "../../state/training-data";
import { Card } from "../../ui/Card";
import { fixed, percent, plural, signed } from "../../ui/format";
import { type Column, Table } from "../../ui/Table";
import type { PartProps } from "./Sections";

interface Row {
  readonly line: ControlLine;
  readonly group: Controls;
}

const KINDS = { uniform: "drawn uniformly", "like-cost": "of like cost" } as const;

/** Say a mean with its spread, in per cent. */
export function meanWords(mean: number, spread: number | null): string {
  return spread === null ? percent(mean) : `${fixed(mean * 100)} ± ${percent(spread)}`;
}

/** Say how likely chance alone would gain as much; nothing is claimed of too few. */
export function chanceWords(group: Pick<Controls, "p_value">): string {
  if (group.p_value === null) return "too few to tell";
  return group.p_value < 0.001 ? "< 0.001" : fixed(group.p_value, 3);
}

/** Say what as many random trainings as the search's steps paid for would have found; null where steps are not known. */
export function paidWords(line: ControlLine): string | null {
  if (line.trainings_paid === null) return null;
  const said = `its steps would have paid for ${plural(Math.floor(line.trainings_paid), "whole training")}`;
  if (line.random_best !== null) return `${said}; the best of as many random ones is expected at ${percent(line.random_best)}.`;
  return `${said}; ${plural(line.uniform?.architectures ?? 0, "uniform control")} cannot tell what the best of as many random ones would reach.`;
}

/** What was found beside random architectures that were trained alike: what the search gained over chance. */
export function ChancePart({ data, shared }: PartProps) {
  const { controls } = data.comparison;
  const rows = controls.flatMap((line) =>
    [line.uniform, line.like_cost].flatMap((group) => (group === null ? [] : [{ line, group }])),
  );
  if (rows.length === 0) return null;
  const unlike = controls.reduce((sum, line) => sum + line.unlike, 0);
  const columns: readonly Column<Row>[] = [
    {
      key: "method",
      title: "method",
      cell: ({ line }) => <span class="user-text">{`${shared.names.letter(line.method)} ${line.method}`}</span>,
    },
    {
      key: "best",
      title: "best of the search",
      cell: ({ line }) => <a href={`/architectures/${line.architecture}`}>{shared.names.number(line.architecture)}</a>,
    },
    {
      key: "its",
      title: "its test accuracy",
      isNumber: true,
      cell: ({ line }) => meanWords(line.test_mean, line.test_spread),
    },
    {
      key: "controls",
      title: "random architectures",
      cell: ({ group }) => `${group.architectures} ${KINDS[group.control]}`,
    },
    {
      key: "mean",
      title: "their mean",
      unit: "spread between them",
      isNumber: true,
      cell: ({ group }) => meanWords(group.mean, group.spread),
    },
    { key: "top", title: "best of them", isNumber: true, cell: ({ group }) => percent(group.best) },
    {
      key: "gain",
      title: "gain",
      unit: "points, standard error",
      isNumber: true,
      cell: ({ group }) => `${signed(group.gain * 100)}${group.gain_error === null ? "" : ` ± ${fixed(group.gain_error * 100)}`}`,
    },
    { key: "p", title: "p", unit: "one-sided", isNumber: true, cell: ({ group }) => chanceWords(group) },
    { key: "seeds", title: "seeds", isNumber: true, isMinor: true, cell: ({ line }) => plural(line.seeds, "seed") },
  ];
  return (
    <Card title="Beside random architectures">
      <p class="quiet">
        Controls, trained with the same recipe and seeds on the same images, and no discoveries: U1, U2 … were drawn uniformly,
        L1, L2 … for their costs; only those within a tenth of the OPs and parameters of the best count beside it.
        {unlike > 0 ? ` Left out, as they cost otherwise: ${unlike}.` : ""}
      </p>
      <Table
        caption="Gain over random architectures"
        columns={columns}
        rows={rows}
        rowKey={({ line, group }) => `${line.method} ${line.search_id} ${group.control}`}
      />
      {controls.map((line) => {
        const said = paidWords(line);
        return said === null ? null : (
          <p class="quiet" key={`${line.method} ${line.search_id}`}>
            <span class="user-text">{line.method}</span>: {said}
          </p>
        );
      })}
    </Card>
  );
}
