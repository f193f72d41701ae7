import type { ComponentChildren } from "preact";
import { isObject } from "../../state/json";
import type { Field } from "../../state/schema";
import type { SearchForm } from "../../state/search-form";
import { nameOf } from "../../state/spec";
import { ComponentField } from "./ComponentField";
import { useForm } from "./context";
import { FieldInput } from "./FieldInput";
import { Fields, Fold, Group } from "./Fold";
import { Methods } from "./Methods";

type Known = Readonly<Record<string, Field>>;

function byName(fields: readonly Field[]): Known {
  return Object.fromEntries(fields.map((field) => [field.name, field]));
}

/** Some of the fields by name, in this order. */
function some(known: Known, ...names: readonly string[]): readonly Field[] {
  return names.flatMap((name) => known[name] ?? []);
}

/** All other fields: what a later version of the service adds is shown too. */
function others(fields: readonly Field[], ...names: readonly string[]): readonly Field[] {
  return fields.filter((field) => !names.includes(field.name));
}

function Section(props: { number: number; title: string; children: ComponentChildren }) {
  return (
    <section class="card" aria-labelledby={`section-${props.number}`}>
      <h2 id={`section-${props.number}`}>
        {props.number} {props.title}
      </h2>
      <div class="fields">{props.children}</div>
    </section>
  );
}

function Component(props: { field: Field | undefined; title?: string; otherwise?: string | undefined }) {
  const { field, ...rest } = props;
  return field ? <ComponentField field={field} {...rest} /> : null;
}

const PLACED =
  "name space dataset method strategy seed wave evaluation constraints objectives from_search resources keep training".split(" ");

/** The whole spec in six parts; all fields come from the service's schema. */
export function Sections() {
  const form = useForm();
  const known = byName(form.schema.fields);
  const evaluation = known.evaluation?.fields ?? [];
  const inEvaluation = byName(evaluation);
  const isOwn = hasOwn(form, known.strategy);
  const otherwise = isOwn && isObject(form.value("training")) ? "not set: the first method of 5 that can" : undefined;
  return (
    <>
      <div class="card">
        <div class="fields">
          <Fields fields={some(known, "name")} />
        </div>
      </div>
      <Section number={1} title="Data">
        <Component field={known.dataset} />
      </Section>
      <Section number={2} title="Space">
        <Component field={known.space} />
        {known.constraints ? <Limits field={known.constraints} /> : null}
        {known.objectives ? <FieldInput field={known.objectives} /> : null}
      </Section>
      <Section number={3} title="Strategy">
        <Component field={known.strategy} />
        <Fields fields={some(known, "seed", "wave", "keep")} />
        {known.from_search ? <Group field={known.from_search} title="Begin from another search" /> : null}
        <Fields fields={others(form.schema.fields, ...PLACED)} />
      </Section>
      <Section number={4} title="Evaluation">
        <Component field={known.method} title="Method of the samples" otherwise={otherwise} />
        {isOwn ? <OwnHint /> : null}
        <Fields fields={some(inEvaluation, "epochs", "train_fraction", "batch_size")} />
        <Fold
          title="How samples are trained and scored"
          fields={others(evaluation, "epochs", "train_fraction", "batch_size", "adversarial")}
        />
        <Fold title="Workers" fields={known.resources?.fields ?? []} />
      </Section>
      <Section number={5} title="What to train">
        {known.training ? <Training field={known.training} /> : null}
      </Section>
      <Section number={6} title="Robustness">
        <Robustness evaluation={inEvaluation} training={known.training} isOwn={isOwn} />
      </Section>
    </>
  );
}

/** Whether samples are trainings of their own: because that was asked for, or because the strategy wants it. */
function hasOwn(form: SearchForm, strategy: Field | undefined): boolean {
  const name = nameOf(form.value("strategy"), strategy?.default);
  const needsOwn = form.schema.catalogue.strategy.find((one) => one.name === name)?.needsOwn ?? false;
  return needsOwn || isObject(form.value("evaluation.own"));
}

/** Where samples are trainings of their own: which recipe they follow, and that what stands here is of shared weights. */
function OwnHint() {
  return (
    <p class="hint wide own-hint">
      Every sample is a training of its own, from scratch: it follows the recipe of <em>own</em> below, or else the one that the
      methods of 5 share. Epochs, train fraction and batch size here are those of shared weights, and stay as they are.
    </p>
  );
}

/** What architectures may cost; the images that costs are counted for are the dataset's, and filled in. */
function Limits(props: { field: Field }) {
  return <Group field={{ ...props.field, fields: others(props.field.fields, "image") }} title="Limits of the device" />;
}

function Training(props: { field: Field }) {
  const form = useForm();
  const { field } = props;
  const known = byName(field.fields);
  const isOn = isObject(form.value("training"));
  const recipe = known.recipe?.fields ?? [];
  const first = ["epochs", "batch_size", "learning_rate"];
  return (
    <>
      <div class="wide">
        <label class="switch">
          <input
            type="checkbox"
            id="f-training"
            checked={isOn}
            onChange={(event) => form.set("training", event.currentTarget.checked ? { methods: ["bnn", "xnor-net"] } : undefined)}
          />
          Train the best architectures when the search ends
        </label>
        {isOn ? null : <p class="hint">Without, the search ends with architectures: there are no networks to download.</p>}
      </div>
      {isOn ? (
        <>
          {known.methods ? <Methods field={known.methods} recipe={known.recipe} /> : null}
          {some(known, "top_k", "seeds", "controls").map((one) => (
            <FieldInput key={one.path} field={one} />
          ))}
          <Fields fields={some(byName(recipe), ...first)} />
          <div class="wide">
            <Fold title="Recipe that all methods share" fields={others(recipe, ...first, "adversarial")} />
            <Fold title="Trials" fields={known.resources?.fields ?? []} />
          </div>
          {known.early_stopping ? <Group field={known.early_stopping} title="Early stopping" /> : null}
          <Fields
            fields={others(field.fields, ..."methods top_k seeds controls recipe resources early_stopping robustness".split(" "))}
          />
        </>
      ) : null}
    </>
  );
}

function Robustness(props: { evaluation: Known; training: Field | undefined; isOwn: boolean }) {
  const form = useForm();
  const training = byName(props.training?.fields ?? []);
  const recipe = byName(training.recipe?.fields ?? []);
  const isOn = isObject(form.value("training"));
  return (
    <>
      {props.isOwn ? (
        <p class="hint wide robust-hint">
          Samples that are trainings of their own are rewarded for clean images. To search robust networks, tick Attacked accuracy
          in the objectives and name an attack in the recipe of the samples, or choose a strategy of shared weights in 3: abandit.
        </p>
      ) : null}
      {props.evaluation.adversarial ? <Group field={props.evaluation.adversarial} title="Search robust networks" /> : null}
      {isOn && recipe.adversarial ? <Group field={recipe.adversarial} title="Train candidates on attacked images" /> : null}
      {isOn && training.robustness ? <Group field={training.robustness} title="Attack what was trained" /> : null}
      {isOn ? null : <p class="hint">What is trained can be attacked: see 5.</p>}
    </>
  );
}
