import { isLit, type Pair } from "../state/training-data";
import { percent, plural } from "../ui/format";
import { type Shared, toggled } from "./marks";
import { matrixOf, seedDots, seedRange } from "./matrix";

const STRIP = 84;

/** Methods x architectures: mean ± spread over seeds, a dot a seed on one scale for all cells, and the rank by architecture. */
export function Matrix(props: Shared & { pairs: readonly Pair[] }) {
  const { names } = props;
  const rows = matrixOf(props.pairs, names);
  const range = seedRange(props.pairs);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section class="table-box" aria-label="Matrix of test accuracies" tabIndex={0}>
      <table class="matrix">
        <caption class="sr-only">Mean test accuracy, spread over seeds and rank, by method and architecture</caption>
        <thead>
          <tr>
            <th scope="col">method</th>
            {names.architectures.map((architecture) => (
              <th key={architecture} scope="col">
                <a href={`/architectures/${architecture}`}>architecture {names.number(architecture)}</a>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.method}>
              <th scope="row">
                <strong>{names.letter(row.method)}</strong> <span class="user-text">{row.method}</span>
              </th>
              {row.cells.map((pair, place) => (
                <td key={names.architectures[place]}>
                  {pair ? (
                    <Cell {...props} pair={pair} range={range} finished={rows.filter((one) => one.cells[place]).length} />
                  ) : (
                    <span class="quiet">not yet</span>
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
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
