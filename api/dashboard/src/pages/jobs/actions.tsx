import { useSignal } from "@preact/signals";
import { send } from "../../api/client";
import { ApiAway, ApiProblem } from "../../api/problem";
import { Confirm } from "../../ui/Confirm";
import { type Action, actionsFor, apiPath, type JobRow } from "./model";

interface ActionsProps {
  job: JobRow;
  title: string;
  onDone: () => void;
  onFailure: (problem: ApiProblem | null) => void;
}

const ASKED: Readonly<Partial<Record<Action, { question: string; means: string }>>> = {
  cancel: { question: "Cancel this job?", means: "What it found so far is kept. It cannot go on afterwards." },
  delete: { question: "Delete this job?", means: "Its results and their files are removed. This cannot be undone." },
};

function request(action: Action, job: JobRow): Promise<unknown> {
  if (action === "delete") return send("DELETE", apiPath(job));
  const headers: Record<string, string> =
    action === "clone" ? { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") } : {};
  return send("POST", `${apiPath(job)}/${action}`, action === "clone" ? {} : undefined, headers);
}

function problemFrom(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  const detail = error instanceof ApiAway ? "The service does not answer; nothing is known to have happened." : String(error);
  return new ApiProblem(0, "page-failed", "This was not done", detail);
}

/** Pause, resume, cancel, clone and delete: what takes something away asks first, and each is sent once. */
export function Actions(props: ActionsProps) {
  const { job, title } = props;
  const isSending = useSignal(false);
  const asking = useSignal<Action | null>(null);

  async function act(action: Action): Promise<void> {
    if (isSending.peek()) return;
    isSending.value = true;
    props.onFailure(null);
    try {
      await request(action, job);
      props.onDone();
    } catch (error) {
      props.onFailure(problemFrom(error));
    } finally {
      isSending.value = false;
    }
  }

  const begin = (action: Action) => {
    if (ASKED[action]) asking.value = action;
    else void act(action);
  };
  const asked = asking.value;
  const words = asked ? ASKED[asked] : undefined;
  return (
    <div class="buttons">
      {actionsFor(job.state).map((action) => (
        <button
          key={action}
          type="button"
          disabled={isSending.value}
          aria-label={`${action} ${title}`}
          onClick={() => begin(action)}
        >
          {action}
        </button>
      ))}
      {asked && words ? (
        <Confirm
          title={words.question}
          text={`${title}: ${words.means}`}
          action={asked}
          onConfirm={() => void act(asked)}
          onClose={() => {
            asking.value = null;
          }}
        />
      ) : null}
    </div>
  );
}
