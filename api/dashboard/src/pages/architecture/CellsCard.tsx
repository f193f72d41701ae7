import { getJson } from "../../api/client";
import { useResource } from "../../live/resource";
import { queryValue, setQuery } from "../../state/router";
import { isDark } from "../../state/theme";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { fixed } from "../../ui/format";
import { Table } from "../../ui/Table";
import { type Architecture, differences, nameOf, operationsOf, type Page, paths } from "./data";

function Compare(props: { one: Architecture; others: readonly Architecture[]; chosen: string }) {
  if (props.others.length === 0) return null;
  return (
    <label class="compare">
      Compare with{" "}
      <select value={props.chosen} onChange={(event) => setQuery({ compare: event.currentTarget.value || null })}>
        <option value="">none</option>
        {props.others.map((other) => (
          <option key={other.id} value={other.id}>
            {`rank ${other.rank}, score ${fixed(other.score, 3)}`}
          </option>
        ))}
      </select>
    </label>
  );
}

function Differences(props: { one: Architecture; other: Architecture }) {
  const rows = differences(props.one.genotype, props.other.genotype);
  if (rows.length === 0) return <p>Both have the same operations everywhere.</p>;
  return (
    <Table
      caption={`${rows.length} edges differ`}
      isCaptionShown
      rows={rows}
      rowKey={(row) => row.edge}
      columns={[
        { key: "edge", title: "cell, edge", cell: (row) => row.edge },
        { key: "here", title: `${props.one.control ?? `rank ${props.one.rank}`} (here)`, cell: (row) => row.here },
        { key: "there", title: `rank ${props.other.rank}`, cell: (row) => row.there },
      ]}
    />
  );
}

/** Draw small pictures larger where there is room: never smaller than they are, since their text would not be read. */
function enlarge(picture: HTMLImageElement): void {
  const room = picture.parentElement?.clientWidth ?? 0;
  const width = Math.max(picture.naturalWidth, Math.min(picture.naturalWidth * 1.6, room));
  picture.style.width = `${Math.round(width)}px`;
}

/** The cells as the service draws them, and beside them another rank's where one is chosen. */
export function CellsCard({ one }: { one: Architecture }) {
  const url = paths.ofSearch(one.search_id);
  const found = useResource<Page<Architecture>>(url, (signal) => getJson(url, signal));
  const asked = queryValue("compare").value;
  const others = (found.data.value?.items ?? []).filter((other) => other.id !== one.id);
  const other = others.find((candidate) => candidate.id === asked) ?? null;
  const theme = isDark.value ? "dark" : "light";
  const operations = [...operationsOf(one.genotype)];
  const words = operations.map(([edge, operation]) => `${edge} ${operation}`).join(", ");
  const picture = paths.diagram(one.id, theme, other?.id ?? null);
  return (
    <Card title="Cells" actions={<Compare {...{ one, others }} chosen={other?.id ?? ""} />}>
      <Figure
        title={other ? `Against rank ${other.rank}` : "Operations by edge"}
        unit={other ? "what differs is marked" : ""}
        svg={picture}
        request={picture}
        name={`architecture-${one.rank}`}
      >
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard */}
        <section class="cells-picture" tabIndex={0} aria-label="Picture of the cells">
          <img
            src={picture}
            onLoad={(event) => enlarge(event.currentTarget)}
            alt={`Cells of the ${nameOf(one).toLowerCase()}: ${words}`}
          />
        </section>
        <details class="twin">
          <summary>The same as a list</summary>
          <ul class="edges">
            {operations.map(([edge, operation]) => (
              <li key={edge}>
                {edge}: {operation}
              </li>
            ))}
          </ul>
        </details>
      </Figure>
      {other ? <Differences {...{ one, other }} /> : null}
    </Card>
  );
}
