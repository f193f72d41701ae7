import { CurvesChart } from "../../pictures/CurvesChart";
import { bandsOf } from "../../pictures/curves";
import { queryValue, setQuery } from "../../state/router";
import { isLit } from "../../state/training-data";
import { Card } from "../../ui/Card";
import { Figure } from "../../ui/Figure";
import { fixed, percent } from "../../ui/format";
import { TooMuch } from "../../ui/States";
import { Table } from "../../ui/Table";
import { FIELDS, type FieldName, requests } from "./data";
import type { PartProps } from "./Sections";
import { bandsCsv } from "./tables";

const MOST = 6; // small multiples at once
const SHOWN: Readonly<Record<FieldName, string>> = {
  validation_accuracy: "validation accuracy",
  train_accuracy: "training accuracy",
  train_loss: "training loss",
  flip_ratio: "flip ratio",
};

function fieldOf(text: string): FieldName {
  return FIELDS.find((field) => field === text) ?? "validation_accuracy";
}

/** Curves of all candidates: one picture an architecture, and how many signs flip below. */
export function CurvesPart({ data, shared }: PartProps) {
  const field = fieldOf(queryValue("curve").value);
  const isEmpty = data.curves.every((curve) => curve.epoch.length === 0);
  const { names, selection } = shared;
  const chosen = selection.architecture
    ? names.architectures.filter((one) => one === selection.architecture)
    : names.architectures;
  const shown = chosen.slice(0, MOST);
  return (
    <Card
      title="Curves"
      actions={
        <label>
          Figure{" "}
          <select
            value={field}
            onChange={(event) =>
              setQuery({ curve: event.currentTarget.value === "validation_accuracy" ? null : event.currentTarget.value })
            }
          >
            {FIELDS.filter((one) => one !== "flip_ratio").map((one) => (
              <option key={one} value={one}>
                {SHOWN[one]}
              </option>
            ))}
          </select>
        </label>
      }
    >
      {isEmpty ? (
        <p class="quiet">No epoch is over yet.</p>
      ) : (
        <>
          <TooMuch shown={shown.length} total={chosen.length} what="architectures" />
          <Multiples data={data} shared={shared} field={field} shown={shown} height={230} />
          <Multiples data={data} shared={shared} field="flip_ratio" shown={shown} height={150} />
        </>
      )}
    </Card>
  );
}

function Multiples(props: PartProps & { field: FieldName; shown: readonly string[]; height: number }) {
  const { data, shared, field } = props;
  const bands = bandsOf(data.curves, field);
  const all = data.curves.flatMap((curve) => (curve.columns[field] ?? []).filter((value): value is number => value !== null));
  if (all.length === 0) return null;
  const range: [number, number] = [Math.min(...all), Math.max(...all)];
  const epochs = Math.max(1, ...data.curves.map((curve) => curve.epochs_total ?? (curve.epoch.at(-1) ?? 0) + 1));
  const isShare = field !== "train_loss";
  const text = (value: number | undefined) => (isShare ? percent(value) : fixed(value, 3));
  const request = requests.curves(data.job.id);
  const lit = bands.filter((band) => isLit({ ...shared.selection, candidate: "" }, band) && band.epoch.length > 0);
  return (
    <Figure
      title={`${SHOWN[field].charAt(0).toUpperCase()}${SHOWN[field].slice(1)}`}
      unit={
        field === "flip_ratio"
          ? "share of the binary weights whose sign changed over an epoch"
          : "mean over seeds; the band is ± one standard deviation, where two seeds or more got so far"
      }
      csv={() => bandsCsv(bands, field)}
      svg="inside"
      request={request}
    >
      <div class="multiples">
        {props.shown.map((architecture) => (
          <div key={architecture}>
            <p>architecture {shared.names.number(architecture)}</p>
            <CurvesChart
              {...shared}
              architecture={architecture}
              bands={bands}
              curves={data.curves}
              field={field}
              isShare={isShare}
              height={props.height}
              range={range}
              epochs={epochs}
            />
          </div>
        ))}
      </div>
      <details>
        <summary>Last epochs as a table</summary>
        <Table
          caption={`${SHOWN[field]} of the last epoch`}
          rows={lit}
          rowKey={(band) => `${band.method} ${band.architecture}`}
          columns={[
            {
              key: "method",
              title: "method",
              cell: (band) => <span class="user-text">{`${shared.names.letter(band.method)} ${band.method}`}</span>,
            },
            { key: "architecture", title: "architecture", cell: (band) => shared.names.number(band.architecture) },
            { key: "epoch", title: "epoch", isNumber: true, cell: (band) => (band.epoch.at(-1) ?? 0) + 1 },
            { key: "mean", title: "mean", isNumber: true, cell: (band) => text(band.mean.at(-1)) },
            {
              key: "spread",
              title: "spread",
              cell: (band) => (band.spread.at(-1) == null ? "1 seed, no spread" : `± ${text(band.spread.at(-1) ?? undefined)}`),
            },
          ]}
        />
      </details>
    </Figure>
  );
}
