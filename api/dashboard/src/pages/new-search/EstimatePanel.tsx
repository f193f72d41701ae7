import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { send, type View } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import { recovered } from "../../live/live";
import type { JsonObject } from "../../state/json";
import { useForm } from "./context";
import { type Line, searchLines, trainingLines } from "./estimate";

const AFTER_MS = 300; // of rest in writing

/** What the spec would take, asked of the service whenever writing rests; it also tells what is wrong. */
export function EstimatePanel() {
  const form = useForm();
  const spec = form.spec.value;
  const known = useSignal<View<"EstimateView"> | null>(null);
  const failure = useSignal<ApiProblem | null>(null);
  const isCurrent = useSignal(false);

  const isSound = form.own.value.length === 0;
  useEffect(() => {
    isCurrent.value = false;
    failure.value = null;
    if (!isSound) return undefined;
    const giveUp = new AbortController();
    const ask = async (given: JsonObject) => {
      try {
        const reply = await send<View<"EstimateView">>("POST", "/v1/searches/estimate", given);
        if (giveUp.signal.aborted) return;
        known.value = reply;
        failure.value = null;
        isCurrent.value = true;
        form.tell({ spec: given, complaints: [] });
      } catch (error) {
        if (giveUp.signal.aborted || !(error instanceof ApiProblem)) return;
        failure.value = error;
        if (error.fields.length > 0) form.tell({ spec: given, complaints: error.fields });
      }
    };
    const timer = setTimeout(() => void ask(spec), AFTER_MS);
    return () => {
      clearTimeout(timer);
      giveUp.abort();
    };
  }, [JSON.stringify(spec), recovered.value]);

  return <Shown estimate={known.value} problem={failure.value} own={form.own.value.length} isCurrent={isCurrent.value} />;
}

function Shown(props: { estimate: View<"EstimateView"> | null; problem: ApiProblem | null; own: number; isCurrent: boolean }) {
  const { estimate, problem } = props;
  const faults = props.own || (problem?.fields.length ?? 0);
  return (
    <section class="card estimate" aria-labelledby="estimate">
      <h2 id="estimate">Estimate</h2>
      {faults > 0 || problem ? (
        <p class="fault" role="status">
          {faults > 0
            ? `${faults === 1 ? "One field is" : `${faults} fields are`} not allowed as given: no estimate.`
            : problem?.detail}
        </p>
      ) : null}
      {estimate && !problem && faults === 0 ? (
        <div class="lines" aria-live="polite" aria-busy={!props.isCurrent}>
          <Lines title="The search" lines={searchLines(estimate)} />
          {estimate.training ? (
            <Lines title="The training after it, at most" lines={trainingLines(estimate.training, estimate.controls)} />
          ) : null}
        </div>
      ) : null}
    </section>
  );
}

function Lines(props: { title: string; lines: readonly Line[] }) {
  return (
    <>
      <h3>{props.title}</h3>
      <dl>
        {props.lines.map((line) => (
          <div key={line.what} data-what={line.what}>
            <dt>{line.what}</dt>
            <dd>
              <strong>{line.value}</strong> <span class="quiet">{line.note}</span>
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}
