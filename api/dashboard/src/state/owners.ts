/** Whether jobs of several owners are among these, or of another than who looks, so that each has to say whose it is. */
export function areOwnersTold(rows: readonly { owner?: string | null }[], caller: string | null): boolean {
  return (
    new Set(rows.map((job) => job.owner ?? "")).size > 1 ||
    (caller !== null && rows.some((job) => job.owner && job.owner !== caller))
  );
}
