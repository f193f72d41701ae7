import { useSignal } from "@preact/signals";
import { send } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import type { TrainingJob } from "../../state/training-events";
import { Confirm } from "../../ui/Confirm";
import { ErrorBox } from "../../ui/ErrorBox";

const OFFERED: Readonly<Record<string, readonly string[]>> = {
  queued: ["pause", "cancel"],
  starting: ["pause", "cancel"],
  running: ["pause", "cancel"],
  pausing: ["cancel"],
  paused: ["resume", "cancel"],
};

/** Pause, resume and cancel, as the state allows. */
export function Controls(props: { job: TrainingJob; onDone: () => void }) {
  const isSending = useSignal(false);
  const isAsking = useSignal(false);
  const failure = useSignal<ApiProblem | null>(null);

  async function act(action: string): Promise<void> {
    if (isSending.peek()) return;
    isSending.value = true;
    failure.value = null;
    try {
      await send("POST", `/v1/trainings/${props.job.id}/${action}`);
      props.onDone();
    } catch (error) {
      failure.value = error instanceof ApiProblem ? error : new ApiProblem(0, "away", "This was not done", String(error));
    } finally {
      isSending.value = false;
    }
  }

  const begin = (action: string) => {
    if (action === "cancel") isAsking.value = true;
    else void act(action);
  };
  return (
    <>
      <div class="buttons">
        {(OFFERED[props.job.state] ?? []).map((action) => (
          <button key={action} type="button" disabled={isSending.value} onClick={() => begin(action)}>
            {action}
          </button>
        ))}
      </div>
      {failure.value ? <ErrorBox problem={failure.value} /> : null}
      {isAsking.value ? (
        <Confirm
          title="Cancel this training?"
          text="Candidates that are done are kept. It cannot go on afterwards."
          action="cancel"
          onConfirm={() => void act("cancel")}
          onClose={() => {
            isAsking.value = false;
          }}
        />
      ) : null}
    </>
  );
}
