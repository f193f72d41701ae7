import { address, getJson, type View } from "../../api/client";
import { useResource } from "../../live/resource";
import { TradeChart } from "../../pictures/TradeChart";
import { isDark } from "../../state/theme";
import { amount, bytes, fixed } from "../../ui/format";
import { Empty, Loaded } from "../../ui/States";
import { paths, tradedOf } from "./data";
import { layersOf } from "./layers";
import type { SearchModel } from "./model";

type Architecture = View<"ArchitectureView">;

function Leader({ model }: { model: SearchModel }) {
  const at = model.replay.at.value;
  const theme = isDark.value ? "dark" : "light";
  return (
    <Empty title="Architectures are ranked when the search ends">
      {(at ?? model.samples.value ?? 0) > 0 ? (
        <figure class="sample-picture">
          <figcaption>The best so far{at === null ? "" : `, at sample ${at}`}</figcaption>
          <img src={paths.leaderDiagram(model.id, at, theme)} alt="Cells of the best architecture so far" loading="lazy" />
        </figure>
      ) : null}
    </Empty>
  );
}

/** The cells as a picture; where each is one layer, which a small picture shows too small, the layers in words. */
function Cells(props: { one: Architecture; theme: string }) {
  const { one, theme } = props;
  const layers = layersOf(one.genotype);
  if (layers === null)
    return (
      <img
        src={address("/v1/architectures/{id}/diagram.svg", { id: one.id }, { theme })}
        alt={`Cells of the architecture of rank ${one.rank}`}
        loading="lazy"
      />
    );
  return (
    <span class="layers">
      {layers.map(([cell, operation]) => (
        <span key={cell}>
          <span class="quiet">{cell}</span> {operation}
        </span>
      ))}
    </span>
  );
}

/** How they are ranked; where something was traded, what they are worth and cost as pictures. */
function Ranking(props: { traded: readonly string[]; architectures: readonly Architecture[] }) {
  if (props.traded.length === 0)
    return (
      <p class="quiet">
        The strategy ranks: where operations were abandoned, rank 1 is made of those left at the end, whose score is the mean of
        their arms; the others are samples, by what they reached.
      </p>
    );
  return (
    <>
      <p class="quiet">
        The Pareto set: none of these is beaten in score and in all that is traded at once by another that was sampled; a picture
        of one objective shows some below others. Rank 1 adds most to what the set has, the next most to that.
      </p>
      {props.traded.map((name) => (
        <TradeChart key={name} architectures={props.architectures} objective={name} />
      ))}
    </>
  );
}

/** What the search found, best first, each with its cells. */
export function ArchitecturesTab({ model }: { model: SearchModel }) {
  const url = address("/v1/architectures", {}, { search: model.id, limit: 50 });
  const key = `${url}/${model.isOver.value}`;
  const found = useResource<{ items: readonly Architecture[] }>(key, (signal) => getJson(url, signal));
  const theme = isDark.value ? "dark" : "light";
  return (
    <Loaded resource={found}>
      {(data) =>
        data.items.length === 0 ? (
          <Leader model={model} />
        ) : (
          <>
            <Ranking traded={tradedOf(model.job.value?.spec)} architectures={data.items} />
            <ol class="found">
              {data.items.map((one) => (
                <li key={one.id}>
                  <a href={`/architectures/${one.id}`}>
                    <Cells one={one} theme={theme} />
                    <span>
                      rank {one.rank}, score {fixed(one.score, 3)}
                      {typeof one.attacked_score === "number" ? `, under attack ${fixed(one.attacked_score, 3)}` : ""}
                    </span>
                  </a>
                  <span class="quiet">
                    {amount(one.cost.ops)} OPs, {bytes(one.cost.packed_bytes)} packed
                  </span>
                </li>
              ))}
            </ol>
          </>
        )
      }
    </Loaded>
  );
}
