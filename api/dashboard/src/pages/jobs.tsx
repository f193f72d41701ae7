import type { PageProps } from "../state/router";
import { useTitle } from "../ui/title";

export default function JobsPage(_: PageProps) {
  useTitle("Jobs");
  return <h1 tabIndex={-1}>Jobs</h1>;
}
