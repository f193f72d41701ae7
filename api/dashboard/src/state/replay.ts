import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { ArmTable } from "./arm-table";

const KEPT = 80; // tables of samples that were looked at

export interface RoundMark {
  readonly round: number;
  readonly samples: number;
  readonly dropped: number;
}

/** The round that a sample belongs to: the first whose end is at it or after it; from 1. */
export function roundAt(rounds: readonly RoundMark[], at: number): number {
  const ended = rounds.filter((mark) => mark.samples < at).length;
  return ended + 1;
}

/** The next end of a round after a sample, or before it; the ends of the search themselves count. */
export function roundStep(rounds: readonly RoundMark[], at: number, direction: 1 | -1, samples: number): number {
  const stops = [0, ...rounds.map((mark) => mark.samples), samples];
  if (direction > 0) return stops.find((stop) => stop > at) ?? samples;
  return stops.findLast((stop) => stop < at) ?? 0;
}

/** How many samples one frame of the replay goes on, so that the whole takes about 150 frames. */
export function frameStep(samples: number): number {
  return Math.max(1, Math.ceil(samples / 150));
}

/**
 * The table of a chosen sample: what is asked for is remembered, one request is under way at most, and while it is, the nearest
 * table that is known stands in (`isWaiting`).
 */
export class Replay {
  readonly at: Signal<number | null>;
  readonly #known = new Map<number, ArmTable>();
  readonly #load: (at: number) => Promise<ArmTable>;
  readonly #shown = signal<ArmTable | null>(null);
  #isBusy = false;
  readonly failure = signal<unknown>(null);
  /** Of the sample, or of the nearest that is known; null while live or before the first came. */
  readonly table: ReadonlySignal<ArmTable | null> = computed(() => (this.at.value === null ? null : this.#shown.value));
  /** Whether what is shown is of another sample than was asked for. */
  readonly isWaiting: ReadonlySignal<boolean> = computed(
    () => this.at.value !== null && this.#shown.value?.at !== this.at.value && this.failure.value === null,
  );

  constructor(load: (at: number) => Promise<ArmTable>, at: number | null = null) {
    this.#load = load;
    this.at = signal(at);
    if (at !== null) this.seek(at);
  }

  /** Go to a sample; null: live. */
  seek(at: number | null): void {
    this.at.value = at;
    this.failure.value = null;
    if (at === null) return;
    const known = this.#known.get(at);
    this.#shown.value = known ?? this.#nearest(at) ?? this.#shown.peek();
    if (!known) void this.#fetch();
  }

  /** Ask for a sample that is likely to be looked at next, unless something else is under way. */
  async prefetch(at: number): Promise<void> {
    if (this.#isBusy || this.#known.has(at)) return;
    this.#isBusy = true;
    try {
      this.#keep(await this.#load(at));
    } catch {
      // it is asked for again when it is looked at
    } finally {
      this.#isBusy = false;
    }
    this.#showWanted();
  }

  /** Forget everything: the search changed under it. */
  forget(): void {
    this.#known.clear();
  }

  #nearest(at: number): ArmTable | null {
    let best: ArmTable | null = null;
    for (const table of this.#known.values()) {
      if (best === null || Math.abs(table.at - at) < Math.abs(best.at - at)) best = table;
    }
    return best;
  }

  #keep(table: ArmTable): void {
    this.#known.delete(table.at);
    this.#known.set(table.at, table);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
  }

  #showWanted(): void {
    const wanted = this.at.peek();
    if (wanted === null || this.#shown.peek()?.at === wanted) return;
    const known = this.#known.get(wanted);
    if (known) this.#shown.value = known;
    else void this.#fetch();
  }

  async #fetch(): Promise<void> {
    const wanted = this.at.peek();
    if (this.#isBusy || wanted === null) return;
    this.#isBusy = true;
    try {
      const table = await this.#load(wanted);
      this.#keep(table);
      const now = this.at.peek();
      if (now !== null) this.#shown.value = this.#known.get(now) ?? this.#nearest(now);
    } catch (error) {
      if (this.at.peek() === wanted) this.failure.value = error ?? new Error("no table");
    } finally {
      this.#isBusy = false;
    }
    if (this.failure.peek() === null) this.#showWanted();
  }
}
