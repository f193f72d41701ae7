import { isLit, type Names, type Pair } from "../state/training-data";
import { percent, plural } from "../ui/format";
import { type Shared, toggled } from "./marks";
import { gridOf, seedDots, seedRange } from "./matrix";

const STRIP = 84;

/** Methods x architectures: mean ± spread over seeds, a dot a seed on one scale for all cells, and the rank by architecture. */
export function Matrix(props: Shared & { pairs: readonly Pair[] }) {
  const { names } = props;
  const grid = gridOf(props.pairs, names);
  const range = seedRange(props.pairs);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section class="table-box" aria-label="Matrix of test accuracies" tabIndex={0}>
      <table class={grid.isDense ? "matrix dense" : "matrix"}>
        <caption class="sr-only">Mean test accuracy, spread over seeds and rank, by method and architecture</caption>
        <thead>
          <tr>
            <th scope="col">{grid.isTurned ? "architecture" : "method"}</th>
            {grid.columns.map((column) => (
              <th key={column} scope="col">
                {grid.isTurned ? <MethodName names={names} method={column} /> : <Link names={names} architecture={column} />}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {grid.rows.map((row) => (
            <tr key={row}>
              <th scope="row">
                {grid.isTurned ? <Link names={names} architecture={row} /> : <MethodName names={names} method={row} />}
              </th>
              {grid.columns.map((column) => {
                const pair = grid.at(row, column);
                return (
                  <td key={column}>
                    {pair ? (
                      <Cell {...props} pair={pair} range={range} finished={grid.finished(pair.architecture)} />
                    ) : (
                      <span class="quiet">not yet</span>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Link(props: { names: Names; architecture: string }) {
  return <a href={`/architectures/${props.architecture}`}>architecture {props.names.number(props.architecture)}</a>;
}

function MethodName(props: { names: Names; method: string }) {
  return (
    <>
      <strong>{props.names.letter(props.method)}</strong> <span class="user-text">{props.method}</span>
    </>
  );
}

/** Say the spread, or that one seed has none. */
export function spreadWords(spread: number | null): string {
  return spread === null ? "1 seed, no spread" : `± ${percent(spread)}`;
}

function Cell(props: Shared & { pair: Pair; range: readonly [number, number]; finished: number }) {
  const { pair, names, selection } = props;
  const wanted = { method: pair.method, architecture: pair.architecture, candidate: "" };
  const isOn = props.chosen.method === pair.method && props.chosen.architecture === pair.architecture;
  return (
    <button
      type="button"
      class="cell"
      aria-pressed={isOn}
      data-cell={`${pair.method} ${pair.architecture}`}
      data-lit={isLit({ ...selection, candidate: "" }, pair)}
      onClick={() => props.onSelect(toggled(props.chosen, wanted))}
      onPointerEnter={() => props.onHover(wanted)}
      onPointerLeave={() => props.onHover(null)}
    >
      <span>
        <span class="mean">{percent(pair.test_mean)}</span> <span class="quiet">{spreadWords(pair.test_spread)}</span>
      </span>
      <svg width={STRIP} height="12" aria-hidden="true">
        <line x1="0" x2={STRIP} y1="6" y2="6" stroke="var(--line)" />
        {seedDots(pair, props.range, STRIP).map((x, place) => (
          <circle key={pair.runs[place]?.candidate} cx={x} cy="6" r="3.5" fill={names.colour(pair.method)} />
        ))}
      </svg>
      <span class="quiet">
        rank {pair.rank} of {props.finished}
        {props.finished < names.methods.length ? " so far" : ""}
        {pair.test_spread === null ? "" : `, ${plural(pair.seeds, "seed")}`}
      </span>
    </button>
  );
}
