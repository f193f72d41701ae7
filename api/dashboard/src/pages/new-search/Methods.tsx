import { useEffect } from "preact/hooks";
import { isObject, type Json } from "../../state/json";
import { type Field, inherited } from "../../state/schema";
import { type Entry, nameOf } from "../../state/spec";
import { useForm } from "./context";
import { Faults } from "./Faults";
import { Fields, Fold } from "./Fold";
import { placedFields } from "./placing";

const PATH = "training.methods";

/** The methods to train with, as boxes to tick, and below each ticked one what is its own. */
export function Methods(props: { field: Field; recipe: Field | undefined }) {
  const form = useForm();
  useEffect(() => form.show(PATH), []);
  const given = form.value(PATH);
  const methods: readonly Json[] = Array.isArray(given) ? given : [];
  const chosen = methods.map((method) => nameOf(method));
  const faults = form.faults.value.at.get(PATH) ?? [];
  const toggle = (name: string, isOn: boolean) =>
    form.set(PATH, isOn ? [...methods, name] : methods.filter((method) => nameOf(method) !== name));
  return (
    <>
      <fieldset class="wide" id={`f-${PATH}`} tabIndex={-1} aria-describedby={faults.length > 0 ? `e-${PATH}` : `h-${PATH}`}>
        <legend>Methods</legend>
        <p class="hint" id={`h-${PATH}`}>
          {props.field.description} Every one is trained on every architecture, so that they can be compared.
        </p>
        <div class="ticks">
          {form.schema.catalogue.method.map((entry) => (
            <label key={entry.name} class="switch" title={`${entry.summary} (${entry.reference})`}>
              <input
                type="checkbox"
                name="methods"
                value={entry.name}
                checked={chosen.includes(entry.name)}
                onChange={(event) => toggle(entry.name, event.currentTarget.checked)}
              />
              {entry.name}
            </label>
          ))}
        </div>
        <Faults path={PATH} faults={faults} />
      </fieldset>
      {methods.map((method, place) => (
        <Method key={`${place}-${nameOf(method)}`} path={`${PATH}.${place}`} method={method} recipe={props.recipe} />
      ))}
    </>
  );
}

/** The recipe to begin with: the shared one, or one that the method's authors published. */
function presetField(path: string, presets: readonly string[]): Field {
  return {
    name: "preset",
    path: `${path}.preset`,
    kind: "choice",
    description: "shared: the recipe below, which all methods have; another: published by the method's authors.",
    isNullable: false,
    isRequired: false,
    default: "shared",
    choices: ["shared", ...presets],
    bounds: {},
    item: null,
    fields: [],
  };
}

/** What hardly acts in the method's default configuration, and why. */
function Inert(props: { parts: Entry["inert"] }) {
  return (
    <div class="hint">
      Hardly acts by default:
      <ul>
        {props.parts.map((part) => (
          <li key={part.name}>
            <strong>{part.name}</strong>
            {part.optimizers.length === 1 ? ` (with ${part.optimizers[0]})` : ""}: {part.why}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** One method's own settings, and where its recipe differs from the shared one. */
function Method(props: { path: string; method: Json; recipe: Field | undefined }) {
  const form = useForm();
  const { path } = props;
  const name = nameOf(props.method);
  useEffect(() => form.show(`${path}.name`), [path]);
  const entry = form.schema.catalogue.method.find((one) => one.name === name);
  const faults = form.faults.value.at.get(`${path}.name`) ?? [];
  const own = props.recipe ? inherited(props.recipe.fields, `${path}.recipe`) : [];
  const isOwn = isObject(props.method) && isObject(props.method.recipe);
  return (
    <div class="wide method">
      <h3 id={`f-${path}.name`} tabIndex={-1}>
        {name}
      </h3>
      <p class="hint">
        {entry?.summary} {entry?.reference ? <cite>{entry.reference}</cite> : null}
      </p>
      {entry && entry.inert.length > 0 ? <Inert parts={entry.inert} /> : null}
      <Faults path={`${path}.name`} faults={faults} />
      <Fold title={`Settings of ${name}`} fields={placedFields(entry?.fields ?? [], `${path}.settings`)} />
      <Fold title={`Recipe of ${name} alone`} fields={[presetField(`${path}.recipe`, entry?.presets ?? [])]} isOpen={isOwn}>
        <div class="fields">
          <Fields fields={own} />
        </div>
      </Fold>
    </div>
  );
}
