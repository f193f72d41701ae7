/** What is wrong with what a field was given. */
export function Faults(props: { path: string; faults: readonly string[] }) {
  if (props.faults.length === 0) return null;
  return (
    <p class="fault" id={`e-${props.path}`}>
      {props.faults.map((text) => (/^(entry|a value|nothing)/.test(text) ? text : `Allowed: ${text}`)).join("; ")}
    </p>
  );
}
