import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useStream } from "../live/live";
import { type Resource, useResource } from "../live/resource";
import type { Shared } from "../pictures/marks";
import { type PageProps, query, setQuery } from "../state/router";
import { isChosen, namesIn, type Selection } from "../state/training-data";
import { type TrainingData, withTold } from "../state/training-events";
import { Loaded } from "../ui/States";
import { useTitle } from "../ui/title";
import { CandidatesPart } from "./training/CandidatesPart";
import { ChancePart } from "./training/ChancePart";
import { ClassesPart } from "./training/ClassesPart";
import { CurvesPart } from "./training/CurvesPart";
import { loadTraining, type Newest, refreshed } from "./training/data";
import { HandMadePart } from "./training/HandMadePart";
import { Head } from "./training/Head";
import { RobustnessPart } from "./training/RobustnessPart";
import { MatrixPart, ParetoPart, ScorePart, TimelinePart } from "./training/Sections";
import "../styles/training.css";

/** A training: its candidates compared, in several pictures that share one choice. */
export default function TrainingPage({ id }: PageProps) {
  const resource = useResource(id, (signal) => loadTraining(id, signal));
  const name = resource.data.value?.job.name || "Training";
  useTitle(name);
  return (
    <>
      <h1 tabIndex={-1} class="user-text">
        {name}
      </h1>
      <Loaded resource={resource} rows={12}>
        {(data) => <Parts data={data} resource={resource} />}
      </Loaded>
    </>
  );
}

/** What is chosen, from the address. */
function selectionIn(search: URLSearchParams): Selection {
  const read = (name: string) => search.get(name) ?? "";
  return { method: read("method"), architecture: read("architecture"), candidate: read("candidate") };
}

function useLive(resource: Resource<TrainingData>, data: TrainingData): void {
  // The stream begins where the page was loaded: what was told since is in the data already.
  const after = useMemo(() => data.job.last_event ?? null, [data.job.id]);
  const newest = useMemo((): Newest => ({ job: 0, comparison: 0, candidates: new Map() }), [data.job.id]);
  const isOver = useMemo(() => data.job.finished_at !== null, [data.job.id]);
  useStream(isOver ? null : `/v1/trainings/${encodeURIComponent(data.job.id)}/stream`, after, {
    onMessages(messages) {
      const before = resource.data.peek();
      if (!before) return;
      const { data: next, stale } = withTold(before, messages);
      resource.set(next);
      if (!stale.job && !stale.comparison && stale.candidates.size === 0) return;
      void refreshed(next, stale, newest).then(
        (put) => {
          const current = resource.data.peek();
          if (current) resource.set(put(current));
        },
        () => undefined, // the banner says that the service is away, and the page loads anew when it is back
      );
    },
    onGap: () => resource.reload(),
    onEnd: () => resource.reload(),
  });
}

function Parts(props: { data: TrainingData; resource: Resource<TrainingData> }) {
  const { data } = props;
  useLive(props.resource, data);
  const hovered = useSignal<Selection | null>(null);
  const names = useMemo(() => namesIn(data.candidates, data.comparison.pairs), [data.candidates, data.comparison]);
  const chosen = selectionIn(query.value);
  const onSelect = (next: Selection) =>
    setQuery({ method: next.method, architecture: next.architecture, candidate: next.candidate });
  const onHover = (next: Selection | null) => {
    hovered.value = next;
  };
  // What is pointed at lights up while nothing is chosen.
  const shared: Shared = { names, selection: isChosen(chosen) ? chosen : (hovered.value ?? chosen), chosen, onSelect, onHover };
  const fixed: Shared = { ...shared, selection: chosen };
  const candidate = data.candidates.find((one) => one.id === chosen.candidate);
  return (
    <>
      <Head job={data.job} onDone={props.resource.reload} />
      <Choice shared={fixed} />
      <MatrixPart data={data} shared={shared} />
      <div class="halves">
        <ParetoPart data={data} shared={shared} />
        <ScorePart data={data} shared={shared} />
      </div>
      <ChancePart data={data} shared={shared} />
      <HandMadePart data={data} shared={shared} />
      <CurvesPart data={data} shared={fixed} />
      <RobustnessPart data={data} shared={shared} />
      {candidate ? (
        <ClassesPart
          candidate={candidate.id}
          words={`${candidate.method_label} on ${names.number(candidate.architecture_id)}, seed ${candidate.seed}`}
        />
      ) : null}
      <TimelinePart data={data} shared={shared} />
      <CandidatesPart data={data} shared={fixed} />
    </>
  );
}

/** Say what is chosen, and offer to see all again. */
function Choice(props: { shared: Shared }) {
  const { names, selection, onSelect } = props.shared;
  if (!isChosen(selection))
    return <p class="quiet">Choose a cell, a method, a point or a candidate: it lights up in all pictures.</p>;
  const words = [
    selection.method ? `${names.letter(selection.method)} ${selection.method}` : "every method",
    selection.architecture ? `architecture ${names.number(selection.architecture)}` : "every architecture",
    selection.candidate ? "one candidate" : "",
  ];
  return (
    <p class="choice" role="status">
      Chosen: <strong class="user-text">{words.filter(Boolean).join(", ")}</strong>{" "}
      <button type="button" onClick={() => onSelect({ method: "", architecture: "", candidate: "" })}>
        show all
      </button>
    </p>
  );
}
