import { Card } from "../../ui/Card";
import { Tabs } from "../../ui/Tabs";
import { ArchitecturesTab } from "./ArchitecturesTab";
import type { Job } from "./data";
import { EventsTab } from "./EventsTab";
import { LogsTab } from "./LogsTab";
import type { SearchModel } from "./model";
import { SamplesTab } from "./SamplesTab";
import { SpecTab } from "./SpecTab";
import { WorkersTab } from "./WorkersTab";

/** The same data as lists, and what else there is to know. */
export function SearchTabs({ model, job }: { model: SearchModel; job: Job }) {
  return (
    <Card title="Details">
      <Tabs
        name="tab"
        label="Details"
        tabs={[
          { key: "samples", title: "Samples", render: () => <SamplesTab model={model} /> },
          { key: "architectures", title: "Architectures", render: () => <ArchitecturesTab model={model} /> },
          { key: "events", title: "Events", render: () => <EventsTab model={model} /> },
          { key: "logs", title: "Logs", render: () => <LogsTab model={model} /> },
          { key: "workers", title: "Workers", render: () => <WorkersTab model={model} /> },
          { key: "spec", title: "Spec", render: () => <SpecTab job={job} /> },
        ]}
      />
    </Card>
  );
}
