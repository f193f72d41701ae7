import { SamplesChart } from "../../pictures/SamplesChart";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { TooMuch } from "../../ui/States";
import { paths, type SeriesData } from "./data";
import type { SearchModel } from "./model";

type Values = readonly (number | null)[];

/** A column that says something of its own; null where it has no value or repeats the rewards. */
function own(column: Values, reward: Values): Values | null {
  const differs = column.some((value, place) => value !== null && Math.abs(value - (reward[place] ?? 0)) > 1e-9);
  return differs ? column : null;
}

function Legend(props: { hasShort: boolean; hasClean: boolean; hasAttacked: boolean }) {
  return (
    <p class="legend quiet">
      <span class="mark mark-reward" aria-hidden="true">
        ●
      </span>{" "}
      reward of a sample{" "}
      {props.hasShort ? (
        <>
          <span class="mark mark-short" aria-hidden="true">
            ●
          </span>{" "}
          of a short training, a score of its own{" "}
        </>
      ) : null}
      {props.hasClean ? (
        <>
          <span class="mark mark-clean" aria-hidden="true">
            ●
          </span>{" "}
          clean{" "}
        </>
      ) : null}
      {props.hasAttacked ? (
        <>
          <span class="mark mark-attacked" aria-hidden="true">
            ●
          </span>{" "}
          under attack{" "}
        </>
      ) : null}
      <span class="mark mark-best" aria-hidden="true">
        ━
      </span>{" "}
      best so far · ticks: ends of rounds, and how many arms went
    </p>
  );
}

function Chart({ model, series }: { model: SearchModel; series: SeriesData }) {
  const { columns } = series;
  const clean = own(columns.clean_accuracy, columns.reward);
  const attacked = own(columns.attacked_accuracy, columns.reward);
  const progress = model.job.value?.progress;
  const total = progress?.kind === "search" ? progress.total : model.samples.value;
  return (
    <>
      <Legend
        hasShort={columns.fidelity.some((share) => share !== null && share < 1)}
        hasClean={clean !== null}
        hasAttacked={attacked !== null}
      />
      <SamplesChart
        index={columns.index}
        reward={columns.reward}
        fidelity={columns.fidelity}
        clean={clean}
        attacked={attacked}
        rounds={model.marks.value}
        total={Math.max(total, model.samples.value)}
        at={model.replay.at.value ?? model.samples.value}
        chosen={model.selection.value.sample}
        onChoose={(sample) => model.choose({ sample })}
      />
      <TooMuch shown={series.points} total={series.points_total} what="points" />
    </>
  );
}

/** Samples over time, the best so far, and where rounds ended. */
export function SamplesCard({ model }: { model: SearchModel }) {
  const series = model.series.value;
  if (!series) return null;
  return (
    <Card title="Samples">
      <Figure
        title="Accuracy on validation images"
        unit="%, of one sample"
        csv={paths.series(model.id, "csv")}
        svg="inside"
        request={paths.series(model.id)}
        name="samples"
      >
        <Chart model={model} series={series} />
      </Figure>
    </Card>
  );
}
