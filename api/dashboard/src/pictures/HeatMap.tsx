import { batch, type ReadonlySignal, type Signal, signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { Fragment } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { type ArmTable, type Slot, slotsOf } from "../state/arm-table";
import { type Place, placeAfter } from "./grid-keys";
import { type HeatCell, heatCells, sameCell } from "./heat";

interface HeatMapProps {
  /** Of one search: its cells, edges and operations never change. */
  readonly table: ReadonlySignal<ArmTable | null>;
  /** The edge and operation that are chosen, as `a:0-2` and a name. */
  readonly chosen: ReadonlySignal<{ readonly slot: Slot | null; readonly operation: string | null }>;
  readonly caption: string;
  readonly onChoose: (slot: Slot, operation: string) => void;
}

const FOLDED_FROM = 24; // rows: of more, only the chosen cell is open at first

interface Grid {
  readonly slots: readonly Slot[];
  readonly operations: readonly string[];
  /** Position of an operation's arm on an edge; -1: the edge does not offer it in this cell. */
  readonly places: readonly (readonly number[])[];
  readonly views: readonly Signal<HeatCell>[];
}

function gridOf(table: ArmTable): Grid {
  const slots = slotsOf(table);
  const places = slots.map((slot) =>
    table.operations.map((operation) => {
      const offset = slot.edge.operations.indexOf(operation);
      return offset < 0 || slot.without.includes(operation) ? -1 : slot.first + offset;
    }),
  );
  return { slots, operations: table.operations, places, views: heatCells(table).map((cell) => signal(cell)) };
}

interface CellProps {
  readonly view: Signal<HeatCell>;
  readonly row: number;
  readonly column: number;
  readonly isEntry: ReadonlySignal<boolean>;
  readonly isChosen: ReadonlySignal<boolean>;
}

/** One arm. It draws itself anew when its own figures change, and its element stays the same. */
function Cell(props: CellProps) {
  const { text, fill, ink, pulls, state, words } = props.view.value;
  return (
    <td
      role="gridcell"
      class={`heat heat-${state}`}
      style={{ background: fill ?? "", color: ink ?? "" }}
      data-row={props.row}
      data-column={props.column}
      tabIndex={props.isEntry.value ? 0 : -1}
      aria-selected={props.isChosen.value}
    >
      <span aria-hidden="true">{state === "abandoned" || state === "impossible" ? <s>{text}</s> : text}</span>
      <span class="sr-only">{words}</span>
      <span class="heat-pulls" style={{ width: `${Math.round(pulls * 100)}%` }} aria-hidden="true" />
    </td>
  );
}

/** The arms as a table: one Tab stop, arrows move, Enter or Space choose. */
export function HeatMap(props: HeatMapProps) {
  const first = props.table.peek();
  const grid = useMemo(() => (first ? gridOf(first) : null), []);
  useSignalEffect(() => {
    const table = props.table.value;
    if (!table || !grid) return;
    const next = heatCells(table);
    batch(() => {
      for (const [position, view] of grid.views.entries()) {
        const cell = next[position];
        if (cell && !sameCell(view.peek(), cell)) view.value = cell;
      }
    });
  });
  return grid ? <Body {...props} grid={grid} /> : null;
}

/** Which cells are shown: all where they are few, else the chosen one's and those that were opened. */
function useFolds(grid: Grid, chosenRow: ReadonlySignal<number>) {
  const isFolding = grid.slots.length > FOLDED_FROM;
  const changed = useSignal<ReadonlyMap<string, boolean>>(new Map());
  const open = useComputed(() => {
    const chosen = grid.slots[chosenRow.value]?.cell;
    const isOpen = (cell: string) => changed.value.get(cell) ?? (!isFolding || cell === chosen);
    return new Set(grid.slots.map((slot) => slot.cell).filter(isOpen));
  });
  const fold = (cell: string) => {
    changed.value = new Map(changed.peek()).set(cell, !open.peek().has(cell));
  };
  return { isFolding, open, fold };
}

function placeOf(event: Event): Place | null {
  const field = (event.target as Element).closest<HTMLElement>("td[data-row]");
  return field ? { row: Number(field.dataset.row), column: Number(field.dataset.column) } : null;
}

function Body(props: HeatMapProps & { grid: Grid }) {
  const { grid } = props;
  const table = useRef<HTMLTableElement>(null);
  const chosenRow = useComputed(() => Math.max(0, props.chosen.value.slot?.index ?? 0));
  const focus = useSignal<Place | null>(null);
  const { isFolding, open, fold } = useFolds(grid, chosenRow);
  const entry = useComputed(() => {
    const { row, column } = focus.value ?? { row: chosenRow.value, column: 0 };
    const isSeen = open.value.has(grid.slots[row]?.cell ?? "");
    return isSeen ? `${row}/${column}` : `${grid.slots.findIndex((slot) => open.value.has(slot.cell))}/0`;
  });

  function choose(place: Place | null): void {
    const slot = grid.slots[place?.row ?? -1];
    const operation = grid.operations[place?.column ?? -1];
    if (place) focus.value = place;
    if (slot && operation) props.onChoose(slot, operation);
  }

  function press(event: KeyboardEvent): void {
    const from = placeOf(event);
    if (!from) return;
    const seen = grid.slots.filter((slot) => open.peek().has(slot.cell)).map((slot) => slot.index);
    const isEnter = event.key === "Enter" || event.key === " ";
    const to = isEnter ? from : placeAfter(event.key, event.ctrlKey, from, seen, grid.operations.length);
    if (!to) return;
    event.preventDefault();
    if (isEnter) choose(from);
    focus.value = to;
    table.current?.querySelector<HTMLElement>(`td[data-row="${to.row}"][data-column="${to.column}"]`)?.focus();
  }

  return (
    <>
      {isFolding ? <Folds cells={[...new Set(grid.slots.map((slot) => slot.cell))]} open={open} onFold={fold} /> : null}
      <div class="heat-box">
        <table
          ref={table}
          class="heat-map"
          role="grid"
          aria-label={props.caption}
          onKeyDown={press}
          onClick={(event) => choose(placeOf(event))}
        >
          <Heads operations={grid.operations} />
          <tbody>
            {grid.slots
              .filter((slot) => open.value.has(slot.cell))
              .map((slot) => (
                <Row key={slot.key} chosen={props.chosen} {...{ slot, grid, entry }} />
              ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Heads(props: { operations: readonly string[] }) {
  return (
    <thead>
      <tr>
        <th scope="col" class="heat-corner">
          cell, edge
        </th>
        {props.operations.map((operation) => (
          <th key={operation} scope="col">
            <span class="heat-operation">{breakable(operation)}</span>
          </th>
        ))}
      </tr>
    </thead>
  );
}

/** Words that may break after hyphens only. */
function breakable(text: string) {
  return text.split(/(?<=-)/).map((part, place) => (
    <Fragment key={place}>
      {part}
      <wbr />
    </Fragment>
  ));
}

function Folds(props: { cells: readonly string[]; open: ReadonlySignal<ReadonlySet<string>>; onFold: (cell: string) => void }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would frame them
    <div class="heat-folds" role="group" aria-label="Cells that are shown">
      {props.cells.map((cell) => (
        <button key={cell} type="button" aria-pressed={props.open.value.has(cell)} onClick={() => props.onFold(cell)}>
          {cell}
        </button>
      ))}
    </div>
  );
}

interface RowProps {
  readonly slot: Slot;
  readonly grid: Grid;
  readonly entry: ReadonlySignal<string>;
  readonly chosen: HeatMapProps["chosen"];
}

function Row(props: RowProps) {
  const { slot, grid, chosen } = props;
  const isRow = useComputed(() => chosen.value.slot?.key === slot.key);
  return (
    <tr class={isRow.value ? "heat-chosen" : ""} data-edge={slot.key}>
      <th scope="row">
        {slot.cell} {slot.edge.name}
      </th>
      {grid.operations.map((operation, column) => (
        <Field key={operation} {...props} column={column} operation={operation} />
      ))}
    </tr>
  );
}

function Field({ slot, grid, entry, chosen, column, operation }: RowProps & { column: number; operation: string }) {
  const isEntry = useComputed(() => entry.value === `${slot.index}/${column}`);
  const isChosen = useComputed(() => chosen.value.slot?.key === slot.key && chosen.value.operation === operation);
  const view = grid.views[grid.places[slot.index]?.[column] ?? -1];
  if (view) return <Cell view={view} row={slot.index} {...{ column, isEntry, isChosen }} />;
  return (
    <td class="heat heat-none" role="gridcell" data-row={slot.index} data-column={column} tabIndex={isEntry.value ? 0 : -1}>
      <span class="sr-only">not offered on this edge</span>
    </td>
  );
}
