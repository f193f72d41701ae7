import type { ComponentChildren } from "preact";

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  /** Of its figures, in words: "%", "kB". */
  readonly unit?: string;
  readonly isNumber?: boolean;
  /** Left out on small screens. */
  readonly isMinor?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string | number;
  rowClass?: (row: Row) => string;
  isCaptionShown?: boolean;
  class?: string;
}

function classOf<Row>(column: Column<Row>): string {
  return `${column.isNumber ? "number" : ""} ${column.isMinor ? "minor" : ""}`.trim();
}

/** A table that scrolls within itself on screens that are too small for it. */
export function Table<Row>(props: TableProps<Row>) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section class="table-box" aria-label={props.caption} tabIndex={0}>
      <table class={props.class ?? ""}>
        <caption class={props.isCaptionShown ? "" : "sr-only"}>{props.caption}</caption>
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.key} scope="col" class={classOf(column)}>
                {column.title}
                {column.unit ? <span class="unit"> ({column.unit})</span> : null}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.rowKey(row)} class={props.rowClass?.(row) ?? ""}>
              {props.columns.map((column) => (
                <td key={column.key} class={classOf(column)} data-column={column.key}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
