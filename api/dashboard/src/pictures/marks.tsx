import type { Names, Selection } from "../state/training-data";

/** What all pictures of a training share. */
export interface Shared {
  readonly names: Names;
  /** What lights up: what is chosen, or what is pointed at while nothing is. */
  readonly selection: Selection;
  readonly chosen: Selection;
  readonly onSelect: (selection: Selection) => void;
  /** Told when something is pointed at; null: nothing. */
  readonly onHover: (selection: Selection | null) => void;
}

/** How bright something is, chosen or not. */
export function opacity(isLit: boolean): number {
  return isLit ? 1 : 0.32;
}

/** Return the selection that a click makes: the same again takes it back. */
export function toggled(now: Selection, wanted: Selection): Selection {
  const isSame = now.method === wanted.method && now.architecture === wanted.architecture && now.candidate === wanted.candidate;
  return isSame ? { method: "", architecture: "", candidate: "" } : wanted;
}

/** Which letter, colour and dash a method has; a click chooses the method everywhere. */
export function Legend(props: Shared) {
  const { names, chosen } = props;
  return (
    <ul class="legend" aria-label="Methods">
      {names.methods.map((method) => {
        const isOn = chosen.method === method && !chosen.architecture && !chosen.candidate;
        const wanted = { method, architecture: "", candidate: "" };
        return (
          <li key={method}>
            <button type="button" aria-pressed={isOn} onClick={() => props.onSelect(toggled(props.chosen, wanted))}>
              <svg width="30" height="12" aria-hidden="true">
                <line
                  x1="1"
                  x2="29"
                  y1="6"
                  y2="6"
                  stroke={names.colour(method)}
                  stroke-width="3"
                  stroke-dasharray={names.dash(method)}
                />
              </svg>
              <strong>{names.letter(method)}</strong> <span class="user-text">{method}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}
