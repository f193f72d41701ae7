/**
 * Return a reply of the service with what a stream told while it was asked for: fields by these names of what is shown `now`, if
 * that is no longer what was shown when it was `asked` for. The reply may be older than they are; where it is newer, the stream
 * tells that next.
 */
export function withToldSince<Shown extends object>(
  reply: Shown,
  asked: Shown | null,
  now: Shown | null,
  names: readonly (keyof Shown)[],
): Shown {
  if (now === null || now === asked) return reply;
  return { ...reply, ...Object.fromEntries(names.filter((name) => name in now).map((name) => [name, now[name]])) };
}

/** The same of a list: rows that the service gave, with what the stream told of each while they were asked for. */
export function rowsWithToldSince<Row extends { readonly id: string }>(
  rows: readonly Row[],
  asked: readonly Row[],
  now: readonly Row[],
  names: readonly (keyof Row)[],
): Row[] {
  const byId = (some: readonly Row[]) => new Map(some.map((row) => [row.id, row]));
  const [before, shown] = [byId(asked), byId(now)];
  return rows.map((row) => withToldSince(row, before.get(row.id) ?? null, shown.get(row.id) ?? null, names));
}
