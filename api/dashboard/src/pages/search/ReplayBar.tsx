import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { frameStep, roundAt, roundStep } from "../../state/replay";
import { count } from "../../ui/format";
import type { SearchModel } from "./model";

const FRAME_MS = 100;
const STILL_MS = 1200; // where people asked for less motion, the replay goes from end to end of rounds

function prefersStill(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Go on by a frame as soon as the table of the last one is shown, until the end. */
function usePlaying(model: SearchModel) {
  const isPlaying = useSignal(false);
  useEffect(() => {
    if (!isPlaying.value) return undefined;
    const isStill = prefersStill();
    const timer = setInterval(
      () => {
        const samples = model.samples.peek();
        const at = model.replay.at.peek() ?? 0;
        if (model.replay.isWaiting.peek()) return;
        if (at >= samples) {
          isPlaying.value = false;
          return;
        }
        const step = frameStep(samples);
        const next = isStill ? roundStep(model.marks.peek(), at, 1, samples) : Math.min(samples, at + step);
        model.seek(next);
        if (!isStill) void model.replay.prefetch(Math.min(samples, next + step));
      },
      isStill ? STILL_MS : FRAME_MS,
    );
    return () => clearInterval(timer);
  }, [isPlaying.value]);
  return isPlaying;
}

/** Play the search again, or go to any of its samples; live follows the newest. */
export function ReplayBar({ model }: { model: SearchModel }) {
  const isPlaying = usePlaying(model);
  const list = useId();
  const samples = model.samples.value;
  const rounds = model.marks.value;
  const at = model.replay.at.value;
  const shown = at ?? samples;
  const words = `sample ${count(shown)} of ${count(samples)}, round ${roundAt(rounds, shown)}`;

  function seek(to: number | null): void {
    isPlaying.value = false;
    model.seek(to);
  }

  function press(event: KeyboardEvent): void {
    const direction = event.key === "PageUp" ? 1 : event.key === "PageDown" ? -1 : null;
    if (direction === null) return;
    event.preventDefault();
    seek(roundStep(rounds, shown, direction, samples));
  }

  function toggle(): void {
    if (!isPlaying.peek() && (at === null || at >= samples)) model.seek(0);
    isPlaying.value = !isPlaying.peek();
  }

  return (
    <section class="card replay" aria-label="Replay">
      <button type="button" onClick={toggle} aria-pressed={isPlaying.value}>
        {isPlaying.value ? "❚❚ Pause replay" : "▶ Replay"}
      </button>
      <button type="button" aria-label="End of the round before" onClick={() => seek(roundStep(rounds, shown, -1, samples))}>
        ⇤
      </button>
      <input
        type="range"
        min={0}
        max={samples}
        value={shown}
        step={1}
        list={list}
        aria-label="Sample that is shown"
        aria-valuetext={words}
        onInput={(event) => seek(Number(event.currentTarget.value))}
        onKeyDown={press}
      />
      <datalist id={list}>
        {rounds.map((mark) => (
          <option key={mark.round} value={mark.samples} label={`${mark.round}`} />
        ))}
      </datalist>
      <button type="button" aria-label="End of the next round" onClick={() => seek(roundStep(rounds, shown, 1, samples))}>
        ⇥
      </button>
      <span class="replay-words" role="status">
        {words}
        {model.replay.isWaiting.value ? <span class="quiet"> · loading</span> : null}
      </span>
      <button type="button" disabled={at === null} onClick={() => seek(null)}>
        live
      </button>
      {model.replay.failure.value ? <span class="replay-failed">this sample could not be loaded</span> : null}
    </section>
  );
}
