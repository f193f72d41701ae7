/** Whether jobs of several owners are among these, so that each has to say whose it is. */
export function hasSeveralOwners(rows: readonly { owner?: string | null }[]): boolean {
  return new Set(rows.map((job) => job.owner ?? "")).size > 1;
}
