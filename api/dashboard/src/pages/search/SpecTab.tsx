import type { Job } from "./data";

/** What was asked for, as JSON. */
export function SpecTab({ job }: { job: Job }) {
  const text = JSON.stringify(job.spec, null, 2);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section class="log user-text" tabIndex={0} aria-label="Spec as JSON">
      <pre>{text}</pre>
    </section>
  );
}
