import { cliLine } from "../../state/cli-line";
import type { JsonObject } from "../../state/json";
import { pythonLines } from "../../state/python-line";
import type { Job } from "./data";

/** What was asked for: as JSON, as a command and as Python. */
export function SpecTab({ job }: { job: Job }) {
  const spec = job.spec as JsonObject;
  const text = JSON.stringify(job.spec, null, 2);
  return (
    <div class="spec">
      <h3>Command</h3>
      <pre class="user-text">{cliLine(spec)}</pre>
      <h3>Python</h3>
      <pre class="user-text">{pythonLines(spec, location.origin)}</pre>
      <h3>JSON</h3>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard */}
      <section class="log user-text" tabIndex={0} aria-label="Spec as JSON">
        <pre>{text}</pre>
      </section>
    </div>
  );
}
