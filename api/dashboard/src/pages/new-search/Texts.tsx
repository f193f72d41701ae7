import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import { cliLine, specOfCli } from "../../state/cli-line";
import { isObject, isSame, type Json, type JsonObject } from "../../state/json";
import { pythonLines, specOfPython } from "../../state/python-line";
import { pruned } from "../../state/spec";
import { useForm } from "./context";

/** One way to write the spec down, and to read it back. */
interface Tongue {
  readonly key: string;
  readonly title: string;
  readonly hint: string;
  write(spec: JsonObject): string;
  /** Throws an Error in words for people. */
  read(text: string): JsonObject;
}

function specOfJson(text: string): JsonObject {
  const value = JSON.parse(text) as Json;
  if (!isObject(value)) throw new Error("a JSON object is wanted");
  return value;
}

const TONGUES: readonly Tongue[] = [
  {
    key: "json",
    title: "JSON",
    hint: "What differs from the defaults; change it here and the form follows.",
    write: (spec) => JSON.stringify(spec, null, 2),
    read: specOfJson,
  },
  { key: "cli", title: "Command", hint: "The same in a terminal.", write: cliLine, read: specOfCli },
  {
    key: "python",
    title: "Python",
    hint: "The same from Python.",
    write: (spec) => pythonLines(spec, location.origin),
    read: specOfPython,
  },
];

/** The spec as texts that can be taken away and changed: what is written in one goes to the form and to the others. */
export function Texts() {
  return (
    <section class="card texts" aria-labelledby="texts">
      <h2 id="texts">The same as text</h2>
      {TONGUES.map((tongue) => (
        <Text key={tongue.key} tongue={tongue} />
      ))}
    </section>
  );
}

function Text(props: { tongue: Tongue }) {
  const form = useForm();
  const id = useId();
  const { tongue } = props;
  const draft = useSignal<string | null>(null);
  const failure = useSignal("");
  const isCopied = useSignal(false);
  const spec = form.spec.value;
  // What stands here stays as it was written while it says what the form says, or nothing that can be read.
  if (draft.peek() !== null && failure.peek() === "" && !saysSame(tongue, draft.peek() ?? "", spec, form)) draft.value = null;
  const text = draft.value ?? tongue.write(spec);

  function change(next: string): void {
    draft.value = next;
    isCopied.value = false;
    try {
      const read = tongue.read(next);
      failure.value = "";
      form.replace(read);
    } catch (error) {
      failure.value = error instanceof Error ? error.message : String(error);
    }
  }

  function rest(): void {
    if (failure.peek() === "") draft.value = null;
  }

  async function copy(): Promise<void> {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    isCopied.value = true;
  }

  return (
    <div class="text">
      <div class="field-head">
        <label for={id}>{tongue.title}</label>
        <button type="button" class="link" onClick={() => void copy()}>
          {isCopied.value ? "copied" : "copy"}
          <span class="sr-only"> {tongue.title}</span>
        </button>
      </div>
      <textarea
        id={id}
        name={tongue.key}
        spellcheck={false}
        autocomplete="off"
        rows={rowsOf(text)}
        aria-describedby={failure.value ? `${id}-fault` : `${id}-hint`}
        aria-invalid={failure.value !== ""}
        value={text}
        onInput={(event) => change(event.currentTarget.value)}
        onBlur={rest}
      />
      {failure.value ? (
        <p class="fault" id={`${id}-fault`} role="status">
          Not understood, the form is as before: {failure.value}
        </p>
      ) : (
        <p class="hint" id={`${id}-hint`}>
          {tongue.hint}
        </p>
      )}
    </div>
  );
}

const ACROSS = 44; // letters of a line, about

/** Return how many rows show a text, within reason. */
function rowsOf(text: string): number {
  const rows = text.split("\n").reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / ACROSS)), 0);
  return Math.min(16, Math.max(2, rows));
}

function saysSame(tongue: Tongue, text: string, spec: JsonObject, form: ReturnType<typeof useForm>): boolean {
  try {
    return isSame(pruned(tongue.read(text), form.schema), spec);
  } catch {
    return false;
  }
}
