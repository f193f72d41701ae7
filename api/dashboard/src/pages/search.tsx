import type { PageProps } from "../state/router";
import { useTitle } from "../ui/title";

export default function SearchPage(_: PageProps) {
  useTitle("Search");
  return <h1 tabIndex={-1}>Search</h1>;
}
