import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { getJson } from "../../api/client";
import { useResource } from "../../live/resource";
import { bytes } from "../../ui/format";
import { Empty, Loaded } from "../../ui/States";
import { paths } from "./data";
import type { SearchModel } from "./model";

interface Logs {
  readonly attempt: number;
  readonly attempts: readonly number[];
  readonly lines: readonly string[];
  readonly size: number;
}

function Lines({ lines }: { lines: readonly string[] }) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reachable by keyboard
    <section ref={box} class="log" tabIndex={0} aria-label="Log">
      <pre>{lines.join("\n")}</pre>
    </section>
  );
}

/** The newest lines of what its processes wrote, by attempt. */
export function LogsTab({ model }: { model: SearchModel }) {
  const attempt = useSignal<number | null>(null);
  const url = paths.logs(model.id, attempt.value);
  const logs = useResource<Logs>(url, (signal) => getJson(url, signal));
  return (
    <Loaded resource={logs}>
      {(data) =>
        data.attempts.length === 0 ? (
          <Empty title="Nothing was written yet" />
        ) : (
          <>
            <p class="buttons">
              <label>
                Attempt{" "}
                <select
                  value={String(data.attempt)}
                  onChange={(event) => {
                    attempt.value = Number(event.currentTarget.value);
                  }}
                >
                  {data.attempts.map((one) => (
                    <option key={one}>{one}</option>
                  ))}
                </select>
              </label>
              <button type="button" onClick={logs.reload}>
                Read again
              </button>
              <span class="quiet">
                the last {data.lines.length} lines of {bytes(data.size)}
              </span>
            </p>
            <Lines lines={data.lines} />
          </>
        )
      }
    </Loaded>
  );
}
