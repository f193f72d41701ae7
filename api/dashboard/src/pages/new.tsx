import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import { send, type View } from "../api/client";
import { ApiAway, ApiProblem } from "../api/problem";
import { useResource } from "../live/resource";
import { navigate, type PageProps, queryValue } from "../state/router";
import { SearchForm } from "../state/search-form";
import { Confirm } from "../ui/Confirm";
import { ErrorBox } from "../ui/ErrorBox";
import { Loaded } from "../ui/States";
import { useTitle } from "../ui/title";
import { FormContext } from "./new-search/context";
import { EstimatePanel } from "./new-search/EstimatePanel";
import { loadForm, type Loaded as Parts } from "./new-search/load";
import { Sections } from "./new-search/Sections";
import { Summary } from "./new-search/Summary";
import { Texts } from "./new-search/Texts";
import "../styles/new-search.css";

/** Write a search: six parts of fields, what it would take, and the same as JSON, as a command and as Python. */
export default function NewPage(_: PageProps) {
  useTitle("New search");
  const from = queryValue("from").value;
  const parts = useResource(`new/${from}`, (signal) => loadForm(from, signal));
  return (
    <>
      <h1 tabIndex={-1}>New search</h1>
      <Loaded resource={parts} rows={12}>
        {(loaded) => <Form key={from} loaded={loaded} from={from} />}
      </Loaded>
    </>
  );
}

/** Go to the first field in reading order that has a fault, unfolding what hides it. */
function focusFault(form: HTMLFormElement): void {
  const first = form.querySelector<HTMLElement>("[aria-invalid=true], fieldset[aria-describedby^='e-']");
  for (let fold = first?.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
  first?.focus();
}

function Form(props: { loaded: Parts; from: string }) {
  const form = useMemo(() => new SearchForm(props.loaded.schema, props.from, props.loaded.first), []);
  const element = useRef<HTMLFormElement>(null);
  const isSending = useRef(false);
  const isBusy = useSignal(false);
  const failure = useSignal<ApiProblem | null>(null);
  const turns = useSignal(0);
  const isAsking = useSignal(false);

  function reset(): void {
    form.reset();
    failure.value = null;
    turns.value = 0;
  }

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (isSending.current) return;
    isSending.current = true;
    isBusy.value = true;
    failure.value = null;
    const spec = form.spec.peek();
    try {
      const job = await send<View<"JobView">>("POST", "/v1/searches", spec, { "Idempotency-Key": form.key });
      form.forget();
      if (job) navigate(`/searches/${job.id}`);
    } catch (error) {
      failure.value = refusal(error);
      const fields = error instanceof ApiProblem ? error.fields : [];
      if (fields.length > 0) form.tell({ spec, complaints: fields });
      turns.value += 1;
      setTimeout(() => element.current && focusFault(element.current));
    } finally {
      isSending.current = false;
      isBusy.value = false;
    }
  }

  return (
    <FormContext.Provider value={form}>
      <form ref={element} class="new-search" noValidate onSubmit={(event) => void submit(event)}>
        <div class="sections">
          {failure.value && failure.value.fields.length === 0 ? <ErrorBox problem={failure.value} /> : null}
          <Summary isTold={turns.value > 0} />
          <Sections />
        </div>
        <div class="beside">
          <EstimatePanel />
          <button type="submit" class="primary submit" aria-disabled={isBusy.value}>
            {isBusy.value ? "Sending…" : "Search"}
          </button>
          {form.isChanged.value ? (
            <button type="button" class="quiet reset" onClick={() => (isAsking.value = true)}>
              Begin again
            </button>
          ) : null}
          <Texts />
        </div>
        {isAsking.value ? (
          <Confirm
            title="Begin again?"
            text="The form goes back to what it began with. What you wrote in it is not kept."
            action="Begin again"
            onConfirm={reset}
            onClose={() => (isAsking.value = false)}
          />
        ) : null}
      </form>
    </FormContext.Provider>
  );
}

function refusal(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  const detail = error instanceof ApiAway ? "Nothing was lost: press Search again when the banner is gone." : String(error);
  return new ApiProblem(0, "away", "The service does not answer", detail);
}
