import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { shown, typed } from "../../state/field-text";
import { isSame, type Json } from "../../state/json";
import { type Field, label } from "../../state/schema";
import type { SearchForm } from "../../state/search-form";
import { useForm } from "./context";
import { Faults } from "./Faults";
import { Ticks } from "./Ticks";

export interface FieldProps {
  field: Field;
}

/** What an input says of itself to those who do not see it. */
interface Marks {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
}

/** The label, the input, what it means, and what is wrong with what was given. */
export function FieldInput(props: FieldProps) {
  const isTicked = props.field.kind === "list" && props.field.item?.kind === "choice";
  return isTicked ? <Ticks field={props.field} /> : <OneInput field={props.field} />;
}

function OneInput(props: FieldProps) {
  const form = useForm();
  const { field } = props;
  useEffect(() => form.show(field.path), [field.path]);
  const faults = form.faults.value.at.get(field.path) ?? [];
  const value = form.value(field.path);
  const isChanged = value !== undefined && !(field.default !== undefined && isSame(value, field.default));
  const marks: Marks = {
    id: `f-${field.path}`,
    "aria-describedby": faults.length > 0 ? `e-${field.path} h-${field.path}` : `h-${field.path}`,
    "aria-invalid": faults.length > 0,
  };
  return (
    <div class={`field ${isChanged ? "changed" : ""}`}>
      <div class="field-head">
        <label for={marks.id}>{label(field.name)}</label>
        {isChanged ? (
          <button type="button" class="link reset" onClick={() => form.set(field.path, undefined)}>
            changed: reset<span class="sr-only"> {label(field.name)}</span>
          </button>
        ) : null}
      </div>
      <Input field={field} form={form} marks={marks} value={value} />
      <p class="hint" id={`h-${field.path}`}>
        {field.description}
      </p>
      <Faults path={field.path} faults={faults} />
    </div>
  );
}

interface InputProps {
  field: Field;
  form: SearchForm;
  marks: Marks;
  value: Json | undefined;
}

function Input(props: InputProps) {
  const { field } = props;
  if (field.kind === "choice" || field.kind === "boolean") return <Choice {...props} />;
  return <TextInput {...props} />;
}

/** A select; what is left out stands first, with what it means then. */
function Choice({ field, form, marks, value }: InputProps) {
  const choices: readonly Json[] = field.kind === "boolean" ? [true, false] : field.choices;
  const all = field.isNullable && field.default !== null && field.default !== undefined ? [...choices, null] : choices;
  const known = value === undefined || all.some((choice) => isSame(choice, value));
  return (
    <select
      {...marks}
      value={value === undefined ? "" : JSON.stringify(value)}
      onChange={(event) => {
        const text = event.currentTarget.value;
        form.set(field.path, text === "" ? undefined : (JSON.parse(text) as Json));
      }}
    >
      <option value="">{field.default === undefined ? "not set" : `${word(field.default)} (default)`}</option>
      {all
        .filter((choice) => field.default === undefined || !isSame(choice, field.default) || isSame(choice, value))
        .map((choice) => (
          <option key={JSON.stringify(choice)} value={JSON.stringify(choice)}>
            {word(choice)}
          </option>
        ))}
      {known ? null : <option value={JSON.stringify(value)}>{word(value ?? null)}</option>}
    </select>
  );
}

function word(value: Json): string {
  if (value === null) return "not set";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A default as it is hinted at: 0.0314 rather than all of its digits. */
function short(value: Json): string {
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : shown(value);
}

/** Text that is read as the field's kind; it stays as it was typed as long as it says what the spec says. */
function TextInput({ field, form, marks, value }: InputProps) {
  const text = useSignal(shown(value));
  if (!isSame(typed(field, text.peek()), value)) text.value = shown(value);
  const isNumber = field.kind === "integer" || field.kind === "number";
  const ground = field.default === undefined || field.default === null ? "not set" : short(field.default);
  return (
    <input
      {...marks}
      type="text"
      inputMode={isNumber ? "decimal" : "text"}
      autocomplete="off"
      spellcheck={false}
      placeholder={field.isRequired ? "required" : field.kind === "text" && field.default === "" ? "" : ground}
      value={text.value}
      onInput={(event) => {
        text.value = event.currentTarget.value;
        form.set(field.path, typed(field, text.peek()));
      }}
    />
  );
}
