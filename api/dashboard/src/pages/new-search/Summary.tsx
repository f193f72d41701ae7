import { useForm } from "./context";

/** All that is wrong, above the form, once somebody has tried to submit it; faults without a field are told at any time. */
export function Summary(props: { isTold: boolean }) {
  const form = useForm();
  const { at, elsewhere } = form.faults.value;
  const fields = [...at.entries()].flatMap(([path, words]) => words.map((text) => ({ path, text })));
  if (elsewhere.length === 0 && (!props.isTold || fields.length === 0)) return null;
  const go = (path: string) => {
    const target = document.getElementById(`f-${path}`);
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
    target?.focus();
  };
  return (
    <div class="error-box" role="alert">
      <p class="error-title">Some of it is not allowed</p>
      <ul>
        {elsewhere.map((entry) => (
          <li key={entry.field}>
            <code>{entry.field}</code>: {entry.allowed}
          </li>
        ))}
        {props.isTold
          ? fields.map(({ path, text }) => (
              <li key={path + text}>
                <button type="button" class="link" onClick={() => go(path)}>
                  {path}
                </button>
                : {text}
              </li>
            ))
          : null}
      </ul>
    </div>
  );
}
