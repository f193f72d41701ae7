import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { SESSION, send } from "../api/client";
import { ApiProblem } from "../api/problem";
import { useTitle } from "./title";

function whyRefused(error: unknown): string {
  if (!(error instanceof ApiProblem)) return "The service does not answer.";
  return error.status === 401 ? "This is no key of this service, or it has expired or was revoked." : error.detail;
}

/** Asks for a key; the browser gets a cookie that scripts cannot read, and the page that was asked for is opened. */
export function Login() {
  const said = useSignal("");
  const isSent = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  useTitle("Log in");
  useEffect(() => field.current?.focus(), []);

  async function show(event: Event): Promise<void> {
    event.preventDefault();
    isSent.value = true;
    said.value = "";
    try {
      await send("POST", SESSION, { key: field.current?.value ?? "" });
      location.reload();
    } catch (error) {
      said.value = whyRefused(error);
      isSent.value = false;
    }
  }

  return (
    <form class="login" onSubmit={(event) => void show(event)}>
      <h1 tabIndex={-1}>Log in</h1>
      <p>
        This service asks for a key. Who runs it makes one with <code>nas keys create</code>.
      </p>
      <label>
        Key <input ref={field} type="password" name="key" autocomplete="current-password" required maxLength={200} />
      </label>
      <button type="submit" class="button" disabled={isSent.value}>
        Log in
      </button>
      <p role="alert">{said.value}</p>
    </form>
  );
}
