import type { PageProps } from "../state/router";
import { useTitle } from "../ui/title";

export default function TrainingPage(_: PageProps) {
  useTitle("Training");
  return <h1 tabIndex={-1}>Training</h1>;
}
