import type { PageProps } from "../state/router";
import { useTitle } from "../ui/title";

export default function ArchitecturePage(_: PageProps) {
  useTitle("Architecture");
  return <h1 tabIndex={-1}>Architecture</h1>;
}
