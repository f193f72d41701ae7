import { useEffect } from "preact/hooks";
import { type Field, label } from "../../state/schema";
import { nameOf, shelfOf } from "../../state/spec";
import { useForm } from "./context";
import { Faults } from "./Faults";
import { Fold } from "./Fold";
import { placedFields } from "./placing";

interface Props {
  readonly field: Field;
  readonly title?: string;
  /** What is taken where nobody chose, if that is not the field's default. */
  readonly otherwise?: string | undefined;
}

/** A thing of the catalogue: its name, what it is, where it was published, and its own settings. */
export function ComponentField(props: Props) {
  const form = useForm();
  const { field, otherwise } = props;
  const path = `${field.path}.name`;
  useEffect(() => form.show(path), [path]);
  const entries = form.schema.catalogue[shelfOf(field)];
  const standard = nameOf(field.default);
  const given = form.value(field.path);
  const name = given === undefined && otherwise !== undefined ? "" : nameOf(given, field.default);
  const entry = entries.find((one) => one.name === name);
  const faults = form.faults.value.at.get(path) ?? [];
  const unset = otherwise === undefined ? standard : "";
  const isChanged = name !== unset;
  return (
    <>
      <div class={`field wide ${isChanged ? "changed" : ""}`}>
        <div class="field-head">
          <label for={`f-${path}`}>{props.title ?? label(field.name)}</label>
          {isChanged ? <span class="mark">changed</span> : null}
        </div>
        <select
          id={`f-${path}`}
          aria-describedby={`${faults.length > 0 ? `e-${path} ` : ""}h-${path}`}
          aria-invalid={faults.length > 0}
          value={name}
          onChange={(event) => form.set(field.path, event.currentTarget.value === unset ? undefined : event.currentTarget.value)}
        >
          {otherwise === undefined ? null : <option value="">{otherwise}</option>}
          {entry || name === "" ? null : <option value={name}>{name}</option>}
          {entries.map((one) => (
            <option key={one.name} value={one.name}>
              {one.name}
              {field.name === "strategy" ? ` – ${one.reference}` : one.name === unset ? " (default)" : ""}
            </option>
          ))}
        </select>
        <p class="hint" id={`h-${path}`}>
          {entry?.summary ?? field.description}
          {entry?.reference ? <cite> {entry.reference}</cite> : null}
          {entry?.figures ? ` Measured: ${entry.figures}.` : ""}
        </p>
        <Faults path={path} faults={faults} />
      </div>
      {entry ? (
        <Fold
          key={name}
          title={`Settings of ${name}`}
          fields={placedFields(entry.fields, `${field.path}.settings`)}
          isOpen={entry.fields.some((one) => one.isRequired)}
        />
      ) : null}
    </>
  );
}
