import { away, notLive } from "../live/status";
import { now } from "../state/clock";
import { age } from "./format";

/** Above every page while the service gives no answer, or no stream: what is shown stays, and how old it is. */
export function Banner() {
  const since = away.value;
  return (
    <div role="status" aria-live="polite">
      {since === null && notLive.value.length > 0 ? (
        <p class="banner">
          Not live: {notLive.value.join("; ")}. What is shown is as it was when it was loaded; this page keeps asking.
        </p>
      ) : null}
      {since === null ? null : (
        <p class="banner">
          The service does not answer. What is shown is {age(since, now.value)} old; this page goes on by itself.
        </p>
      )}
    </div>
  );
}
