import type { PageProps } from "../state/router";
import { useTitle } from "../ui/title";

export default function SystemPage(_: PageProps) {
  useTitle("System");
  return <h1 tabIndex={-1}>System</h1>;
}
