import type { PageProps } from "../state/router";
import { useTitle } from "../ui/title";

export default function NewPage(_: PageProps) {
  useTitle("New search");
  return <h1 tabIndex={-1}>New search</h1>;
}
