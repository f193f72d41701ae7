import { useEffect, useMemo } from "preact/hooks";
import type { PageProps } from "../state/router";
import { ErrorBox, Gone } from "../ui/ErrorBox";
import { Empty, Skeleton } from "../ui/States";
import { useTitle } from "../ui/title";
import { ArmsCard } from "./search/ArmsCard";
import { CellCard } from "./search/CellCard";
import { Head } from "./search/Head";
import { SearchModel } from "./search/model";
import { ReplayBar } from "./search/ReplayBar";
import { SamplesCard } from "./search/SamplesCard";
import { SearchTabs } from "./search/SearchTabs";
import { WhyCard } from "./search/WhyCard";
import "../styles/search.css";
import "../styles/search-pictures.css";

/** One search: what it samples, what it drops, and why. */
export default function SearchPage({ id }: PageProps) {
  const model = useMemo(() => new SearchModel(id), [id]);
  useEffect(() => {
    model.open();
    return () => model.close();
  }, [model]);
  const job = model.job.value;
  useTitle(job?.name || "Search");
  const problem = model.problem.value;
  if (problem?.status === 404 && !job) {
    return (
      <>
        <h1 tabIndex={-1}>Search</h1>
        <Gone problem={problem} back={{ href: "/?kind=search", label: "All searches" }} />
      </>
    );
  }
  return (
    <>
      {job ? <Head model={model} job={job} /> : <h1 tabIndex={-1}>Search</h1>}
      {problem ? <ErrorBox problem={problem} onRetry={() => model.reload()} /> : null}
      {job || problem ? null : <Skeleton rows={8} label="Loading the search" />}
      {job ? <Pictures model={model} /> : null}
      {job ? <SearchTabs model={model} job={job} /> : null}
    </>
  );
}

function Pictures({ model }: { model: SearchModel }) {
  const hasTable = model.table.value !== null;
  const samples = model.samples.value;
  if (samples === 0 && !hasTable) {
    return (
      <Empty title="No sample yet" command={`nas search watch ${model.id}`}>
        <p>The first arms appear here with the first committed sample; this page goes on by itself.</p>
      </Empty>
    );
  }
  if (!hasTable) return <Skeleton rows={10} label="Loading the arms" />;
  return (
    <>
      <ReplayBar model={model} />
      <div class="search-grid">
        <div class="search-side">
          <ArmsCard model={model} />
          <SamplesCard model={model} />
        </div>
        <div class="search-side">
          <CellCard model={model} />
          <WhyCard model={model} />
        </div>
      </div>
    </>
  );
}
