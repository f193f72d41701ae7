import { useEffect } from "preact/hooks";
import type { Json } from "../../state/json";
import { type Field, label } from "../../state/schema";
import { ticked } from "../../state/ticks";
import { useForm } from "./context";
import { Faults } from "./Faults";

/** A list of choices as boxes to tick; once as many are ticked as may be, the others rest. */
export function Ticks(props: { field: Field }) {
  const form = useForm();
  const { path, name, item, bounds, description } = props.field;
  useEffect(() => form.show(path), [path]);
  const value = form.value(path);
  const given: readonly Json[] = Array.isArray(value) ? value : [];
  const faults = form.faults.value.at.get(path) ?? [];
  const isFull = given.length >= (bounds.maxItems ?? Number.POSITIVE_INFINITY);
  return (
    <fieldset
      class={`wide ${given.length > 0 ? "changed" : ""}`}
      id={`f-${path}`}
      tabIndex={-1}
      aria-describedby={faults.length > 0 ? `e-${path}` : `h-${path}`}
    >
      <legend>{label(name)}</legend>
      <p class="hint" id={`h-${path}`}>
        {description}
        {bounds.maxItems === undefined ? "" : ` At most ${bounds.maxItems} can be ticked.`}
      </p>
      <div class="ticks words">
        {(item?.choices ?? []).map((choice) => (
          <label key={String(choice)} class="switch">
            <input
              type="checkbox"
              name={path}
              value={String(choice)}
              checked={given.includes(choice)}
              disabled={isFull && !given.includes(choice)}
              onChange={(event) => form.set(path, ticked(given, choice, event.currentTarget.checked))}
            />
            {label(String(choice))}
          </label>
        ))}
      </div>
      <Faults path={path} faults={faults} />
    </fieldset>
  );
}
