import { get } from "../../api/client";
import { useResource } from "../../live/resource";
import type { ClassFigures } from "../../state/training-data";
import { Card } from "../../ui/Card";
import { count, percent } from "../../ui/format";
import { Loaded, TooMuch } from "../../ui/States";
import { Table } from "../../ui/Table";

const MOST = 30;

interface Line {
  readonly name: string;
  readonly accuracy: number | null;
  readonly images: number;
  readonly confused: string;
}

/** Classes from the worst to the best. */
function linesOf(figures: ClassFigures): Line[] {
  const lines = figures.names.map((name, place) => ({
    name,
    accuracy: figures.accuracies[place] ?? null,
    images: figures.images[place] ?? 0,
    confused: figures.names[figures.confused_with[place] ?? -1] ?? "",
  }));
  return lines.sort((left, right) => (left.accuracy ?? 2) - (right.accuracy ?? 2));
}

/** How the chosen candidate does by class. */
export function ClassesPart(props: { candidate: string; words: string }) {
  const found = useResource(props.candidate, (signal) =>
    get("/v1/candidates/{candidate_id}", { candidate_id: props.candidate }, {}, signal),
  );
  return (
    <Card title={`By class: ${props.words}`}>
      <Loaded resource={found}>
        {(candidate) => {
          const figures = candidate.metrics?.test_classes;
          if (!figures)
            return <p class="quiet">Nothing is known by class: it is not finished, or an earlier version trained it.</p>;
          const lines = linesOf(figures);
          return (
            <>
              <TooMuch shown={Math.min(MOST, lines.length)} total={lines.length} what="classes, the worst first," />
              <Table
                caption="Test accuracy by class, the worst first"
                rows={lines.slice(0, MOST)}
                rowKey={(line) => line.name}
                columns={[
                  { key: "name", title: "class", cell: (line) => <span class="user-text">{line.name}</span> },
                  {
                    key: "accuracy",
                    title: "accuracy",
                    isNumber: true,
                    cell: (line) => (line.accuracy === null ? "no test images" : percent(line.accuracy)),
                  },
                  {
                    key: "bar",
                    title: "as a bar",
                    cell: (line) => <progress aria-label={`accuracy of ${line.name}`} value={line.accuracy ?? 0} max={1} />,
                  },
                  { key: "images", title: "test images", isNumber: true, cell: (line) => count(line.images) },
                  { key: "confused", title: "mostly taken for", cell: (line) => <span class="user-text">{line.confused}</span> },
                ]}
              />
            </>
          );
        }}
      </Loaded>
    </Card>
  );
}
