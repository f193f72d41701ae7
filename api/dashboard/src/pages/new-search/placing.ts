import type { Field } from "../../state/schema";

/** Return fields of the catalogue as fields at a place of the spec. */
export function placedFields(fields: readonly Field[], prefix: string): readonly Field[] {
  return fields.map((field) => {
    const path = `${prefix}.${field.name}`;
    return { ...field, path, fields: placedFields(field.fields, path) };
  });
}
