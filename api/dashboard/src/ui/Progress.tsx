import { NONE, seconds } from "./format";

/** How far something is, as a bar and in words. `total` null: nobody knows. */
export function Progress(props: {
  label: string;
  done: number;
  total: number | null;
  secondsLeft?: number | null;
  unit?: string;
}) {
  const { done, total } = props;
  const words = total === null ? String(done) : `${done} of ${total}`;
  const left = props.secondsLeft === null || props.secondsLeft === undefined ? "" : seconds(props.secondsLeft);
  return (
    <div class="progress">
      <progress aria-label={props.label} {...(total === null ? {} : { value: Math.min(done, total), max: Math.max(1, total) })} />
      <span class="progress-words">
        {words === "0 of 0" ? NONE : words}
        {props.unit ? ` ${props.unit}` : ""}
        {left && left !== NONE ? <span class="quiet"> · {left} left</span> : null}
      </span>
    </div>
  );
}
