const SHAPES: Readonly<Record<string, string>> = {
  queued: "◦",
  starting: "◔",
  running: "●",
  pausing: "◐",
  paused: "◫",
  cancelling: "◌",
  cancelled: "⊘",
  succeeded: "✓",
  failed: "✗",
  stopped: "◼",
};

/** A state by word, shape and colour, so that none of them is needed alone. */
export function StateMark(props: { state: string }) {
  return (
    <span class={`state state-${props.state}`}>
      <span aria-hidden="true">{SHAPES[props.state] ?? "•"}</span> {props.state}
    </span>
  );
}
