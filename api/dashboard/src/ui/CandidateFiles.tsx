import { useSignal } from "@preact/signals";
import { address, getFile } from "../api/client";
import { ApiProblem } from "../api/problem";
import { save } from "./save";

interface Props {
  readonly id: string;
  /** Which candidate it is, for those who do not see the row. */
  readonly words: string;
}

/** Files of a candidate that succeeded. Every one has a bundle and weights; why there is no other is told in its place. */
export function CandidateFiles({ id, words }: Props) {
  const why = useSignal("");
  const at = (format: string) => address("/v1/candidates/{id}/download", { id }, { format });

  async function ask(event: Event, format: string): Promise<void> {
    event.preventDefault();
    why.value = "";
    try {
      const file = await getFile(at(format));
      save(file, file.name);
    } catch (error) {
      why.value = error instanceof ApiProblem ? error.detail : "the service does not answer";
    }
  }

  return (
    <>
      <span class="files">
        <a href={at("bundle")} download aria-label={`bundle of ${words}`}>
          bundle
        </a>{" "}
        <a href={at("safetensors")} download aria-label={`weights of ${words}`}>
          weights
        </a>{" "}
        <a href={at("c")} download aria-label={`C of ${words}`} onClick={(event) => void ask(event, "c")}>
          C
        </a>{" "}
        <a href={at("onnx")} download aria-label={`ONNX of ${words}`} onClick={(event) => void ask(event, "onnx")}>
          ONNX
        </a>{" "}
        <a href={at("qonnx")} download aria-label={`QONNX of ${words}`} onClick={(event) => void ask(event, "qonnx")}>
          QONNX
        </a>
      </span>
      {why.value ? (
        <span class="fault user-text" role="status">
          {" "}
          {why.value}
        </span>
      ) : null}
    </>
  );
}
