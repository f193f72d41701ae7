import type { ApiProblem } from "../api/problem";

function shown(given: unknown): string {
  return typeof given === "string" ? given : JSON.stringify(given);
}

/** Why something failed, in the service's words, with what to do. */
export function ErrorBox(props: { problem: ApiProblem; onRetry?: () => void }) {
  const { problem } = props;
  return (
    <div class="error-box" role="alert">
      <p class="error-title">{problem.title}</p>
      {problem.detail ? <p>{problem.detail}</p> : null}
      {problem.fields.length > 0 ? (
        <ul>
          {problem.fields.map((entry) => (
            <li key={entry.field}>
              <code>{entry.field}</code>: given <code>{shown(entry.given)}</code>; {entry.allowed}
            </li>
          ))}
        </ul>
      ) : null}
      <p class="quiet">
        {problem.status ? `HTTP ${problem.status}` : "in this page"}
        {problem.requestId ? `, request ${problem.requestId}` : ""}
      </p>
      {props.onRetry ? (
        <button type="button" onClick={props.onRetry}>
          Retry
        </button>
      ) : null}
    </div>
  );
}

/** There is no such thing, or no longer. */
export function Gone(props: { problem: ApiProblem | null; back: { href: string; label: string } }) {
  return (
    <div class="empty" role="alert">
      <p class="empty-title">There is no such thing, or no longer.</p>
      {props.problem ? <p class="quiet">{props.problem.detail}</p> : null}
      <p>
        <a class="button" href={props.back.href}>
          {props.back.label}
        </a>
      </p>
    </div>
  );
}
