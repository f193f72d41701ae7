import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { isObject, isSame, type Json } from "../../state/json";
import type { Field } from "../../state/schema";
import { useForm } from "./context";
import { Faults } from "./Faults";
import { FieldInput } from "./FieldInput";

/** Count the fields that say something else than their default. */
function changes(fields: readonly Field[], read: (path: string) => Json | undefined): number {
  let found = 0;
  for (const field of fields) {
    const value = read(field.path);
    if (value === undefined || (field.default !== undefined && isSame(value, field.default))) continue;
    if (field.kind === "group" && isObject(value)) found += changes(field.fields, read);
    else found += 1;
  }
  return found;
}

/** Fields that most people leave as they are: folded, with how many are changed and whether something is wrong with one. */
export function Fold(props: { title: string; fields: readonly Field[]; children?: ComponentChildren; isOpen?: boolean }) {
  const form = useForm();
  if (props.fields.length === 0 && !props.children) return null;
  const changed = changes(props.fields, (path) => form.value(path));
  const paths = [...form.faults.value.at.keys()];
  const isFaulty = props.fields.some((field) => paths.some((path) => path === field.path || path.startsWith(`${field.path}.`)));
  return (
    <details class="fold" open={props.isOpen ?? false}>
      <summary>
        {props.title} <span class="quiet">({props.fields.length === 1 ? "1 field" : `${props.fields.length} fields`})</span>
        {changed > 0 ? <span class="mark"> {changed} changed</span> : null}
        {isFaulty ? <span class="fault"> not allowed as it is</span> : null}
      </summary>
      <div class="fields">
        <Fields fields={props.fields} />
      </div>
      {props.children}
    </details>
  );
}

/** Fields one after the other; a group is a fold of its own, with a switch where it may be left out. */
export function Fields(props: { fields: readonly Field[] }) {
  return (
    <>
      {props.fields.map((field) =>
        field.kind === "group" ? <Group key={field.path} field={field} /> : <FieldInput key={field.path} field={field} />,
      )}
    </>
  );
}

/** A group of fields; one that may be left out has a switch, and its fields are there while it is on. */
export function Group(props: { field: Field; title?: string }) {
  const form = useForm();
  const { field } = props;
  useEffect(() => form.show(field.path), [field.path]);
  const title = props.title ?? field.name.replaceAll("_", " ");
  const isOptional = field.isNullable || field.default === undefined;
  const isOn = !isOptional || isObject(form.value(field.path));
  if (!isOptional) {
    return (
      <div class="wide">
        <Fold title={title} fields={field.fields} />
      </div>
    );
  }
  return (
    <fieldset class="wide">
      <legend>
        <label class="switch">
          <input
            type="checkbox"
            id={`f-${field.path}`}
            aria-describedby={`h-${field.path}`}
            checked={isOn}
            onChange={(event) => form.set(field.path, event.currentTarget.checked ? {} : undefined)}
          />
          {title}
        </label>
      </legend>
      <p class="hint" id={`h-${field.path}`}>
        {field.description}
      </p>
      <Faults path={field.path} faults={form.faults.value.at.get(field.path) ?? []} />
      {isOn ? (
        <div class="fields">
          <Fields fields={field.fields} />
        </div>
      ) : null}
    </fieldset>
  );
}
