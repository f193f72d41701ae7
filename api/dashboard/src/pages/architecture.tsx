import { getJson } from "../api/client";
import { useResource } from "../live/resource";
import type { PageProps } from "../state/router";
import { isDark } from "../state/theme";
import { amount, bytes, count, fixed } from "../ui/format";
import { Loaded } from "../ui/States";
import { useTitle } from "../ui/title";
import { CellsCard } from "./architecture/CellsCard";
import { CostCard } from "./architecture/CostCard";
import { type Architecture, nameOf, paths } from "./architecture/data";
import { TrainedCard } from "./architecture/TrainedCard";
import "../styles/search.css";
import "../styles/search-pictures.css";
import "../styles/architecture.css";

function Head({ one }: { one: Architecture }) {
  const { cost } = one;
  const theme = isDark.value ? "dark" : "light";
  const facts: readonly (readonly [string, string])[] = [
    ["score", fixed(one.score, 3)],
    ...(typeof one.attacked_score === "number" ? [["under attack", fixed(one.attacked_score, 3)] as const] : []),
    ["OPs", amount(cost.ops)],
    ["packed", bytes(cost.packed_bytes)],
    ["1-bit parameters", count(cost.binary_parameters)],
    ["32-bit parameters", count(cost.float_parameters)],
  ];
  const genotype = `data:application/json,${encodeURIComponent(JSON.stringify(one.genotype))}`;
  return (
    <header class="search-head">
      <div class="search-title">
        <h1 tabIndex={-1}>{nameOf(one)}</h1>
        <a href={`/searches/${one.search_id}`}>its search</a>
        <p class="buttons">
          <a class="button" href={paths.bundle(one.id)} download>
            Bundle
          </a>
          <a class="button" href={paths.diagram(one.id, theme, null)} download={`architecture-${one.rank}.svg`}>
            SVG
          </a>
          <a class="button" href={genotype} download={`genotype-${one.rank}.json`}>
            Genotype
          </a>
        </p>
      </div>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name} class="fact">
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet search-cli">
        <code>{one.digest}</code>
      </p>
    </header>
  );
}

/** One architecture: its cells, what it costs, what was trained of it. */
export default function ArchitecturePage({ id }: PageProps) {
  const url = paths.one(id);
  const found = useResource<Architecture>(url, (signal) => getJson(url, signal));
  const one = found.data.value;
  useTitle(one ? nameOf(one) : "Architecture");
  return (
    <>
      {one ? null : <h1 tabIndex={-1}>Architecture</h1>}
      <Loaded resource={found} rows={8}>
        {(data) => (
          <>
            <Head one={data} />
            <CellsCard one={data} />
            <div class="search-grid">
              <CostCard id={id} />
              <TrainedCard id={id} />
            </div>
          </>
        )}
      </Loaded>
    </>
  );
}
