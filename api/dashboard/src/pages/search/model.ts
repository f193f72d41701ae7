import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { ApiAway, ApiProblem } from "../../api/problem";
import { follow, type Message } from "../../live/live";
import { type ArmTable, armsOf, type Slot, slotsOf } from "../../state/arm-table";
import { Replay, type RoundMark } from "../../state/replay";
import { query, setQuery } from "../../state/router";
import { withToldSince } from "../../state/told";
import { type AbandonedData, afterAbandoned, afterWave, type WaveData } from "../../state/waves";
import { type ArmPage, type Job, load, paths, type SeriesData } from "./data";

const EXACT_AFTER_MS = 700; // waves carry no bounds: those of the chosen edge are asked for at most this often
const OVER = new Set(["succeeded", "failed", "cancelled"]);

/** What a chosen thing is: the same in every picture, and in the address. */
export interface Selection {
  readonly slot: Slot | null;
  readonly operation: string | null;
  readonly sample: number | null;
}

function problemFrom(error: unknown): ApiProblem | null {
  if (error instanceof ApiProblem) return error;
  if (error instanceof ApiAway) return null;
  return new ApiProblem(0, "page-failed", "The page failed", error instanceof Error ? error.message : String(error));
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : null;
}

/** Put the finer figures of one edge into a table. */
export function withArms(table: ArmTable, slot: Slot, page: ArmPage): ArmTable {
  const next = { mean: [...table.mean], lower: [...table.lower], upper: [...table.upper], pulls: [...table.pulls] };
  for (const { operation, position } of armsOf(table, slot)) {
    const told = page.items.find((item) => item.operation === operation);
    if (!told) continue;
    next.mean[position] = told.mean;
    next.lower[position] = told.lower;
    next.upper[position] = told.upper;
    next.pulls[position] = told.pulls;
  }
  return { ...table, ...next };
}

/** Everything that the page of one search shows, as signals; each request and each message changes only its own. */
export class SearchModel {
  readonly job = signal<Job | null>(null);
  readonly live = signal<ArmTable | null>(null);
  readonly series = signal<SeriesData | null>(null);
  readonly rounds = signal<readonly RoundMark[]>([]);
  readonly problem = signal<ApiProblem | null>(null);
  readonly events = signal(0); // how many messages with an id came: lists that show them ask anew
  readonly replay: Replay;
  /** The table that every picture shows: that of the chosen sample, or the newest. */
  readonly table: ReadonlySignal<ArmTable | null>;
  readonly selection: ReadonlySignal<Selection>;
  readonly slots: ReadonlySignal<readonly Slot[]>;
  readonly isOver: ReadonlySignal<boolean> = computed(() => OVER.has(this.job.value?.state ?? ""));
  /** Ends of rounds that are over: as they were told, or as the table plans them until then. */
  readonly marks: ReadonlySignal<readonly RoundMark[]> = computed(() => {
    if (this.rounds.value.length) return this.rounds.value;
    const table = this.live.value ?? this.table.value;
    const ends = (table?.round_ends ?? []).filter((end) => end <= (table?.samples ?? 0));
    return ends.map((samples, place) => ({ round: place + 1, samples, dropped: 0 }));
  });
  readonly samples: ReadonlySignal<number> = computed(() =>
    Math.max(this.live.value?.samples ?? 0, this.replay.table.value?.samples ?? 0, progressSamples(this.job.value)),
  );
  #stops: (() => void)[] = [];
  #exactTimer: ReturnType<typeof setTimeout> | null = null;
  #tableTimer: ReturnType<typeof setTimeout> | null = null;
  #isAsking = false; // for the table
  #asksAgain = false;
  #isFollowing = false;
  #isClosed = false;

  constructor(readonly id: string) {
    this.replay = new Replay((at) => load.table(id, at), wholeNumber(query.peek().get("at")));
    this.table = computed(() => (this.replay.at.value === null ? this.live.value : (this.replay.table.value ?? this.live.value)));
    this.slots = computed(() => {
      const table = this.table.value;
      return table ? slotsOf(table) : [];
    });
    this.selection = computed(() => {
      const asked = query.value.get("edge");
      const slots = this.slots.value;
      return {
        slot: slots.find((slot) => slot.key === asked) ?? slots[0] ?? null,
        operation: query.value.get("operation"),
        sample: wholeNumber(query.value.get("sample")),
      };
    });
  }

  open(): void {
    void this.#load();
    this.#stops.push(
      effect(() => {
        const asked = wholeNumber(query.value.get("at"));
        if (asked !== this.replay.at.peek()) this.replay.seek(asked);
        const failure = this.replay.failure.value;
        if (failure instanceof ApiProblem && failure.status === 422) setQuery({ at: null }); // there is no such sample
        if (asked === null && this.live.peek() === null && this.job.peek()) void this.refreshTable();
      }),
    );
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    if (this.#exactTimer) clearTimeout(this.#exactTimer);
    if (this.#tableTimer) clearTimeout(this.#tableTimer);
  }

  /** First job, table and series at once, then the stream from where the job's view ends; rounds when there is time. */
  async #load(): Promise<void> {
    const isReplay = this.replay.at.peek() !== null;
    try {
      const [job] = await Promise.all([
        load.job(this.id),
        isReplay ? null : load.table(this.id).then((table) => this.#take(table)),
        load.series(this.id).then((series) => {
          this.series.value = series;
        }),
      ]);
      if (this.#isClosed) return;
      this.job.value = job;
      this.problem.value = null;
      this.#follow(job);
      const table = this.live.peek();
      if (table && table.samples < progressSamples(job)) void this.refreshTable(); // no wave will tell of those in between
      setTimeout(() => void this.loadRounds(), 0);
    } catch (error) {
      this.problem.value = problemFrom(error);
      if (!this.problem.value && !this.#isClosed) setTimeout(() => void this.#load(), 1000);
    }
  }

  reload(): void {
    this.problem.value = null;
    void this.#load();
  }

  async loadRounds(): Promise<void> {
    try {
      const told = await load.rounds(this.id);
      // what the stream told meanwhile, this list may not hold yet
      const newer = this.rounds.peek().filter((mark) => mark.round > (told.at(-1)?.round ?? 0));
      this.rounds.value = [...told, ...newer];
    } catch (error) {
      this.problem.value = problemFrom(error);
    }
  }

  /** Take a table that was asked for; false: the stream went past it meanwhile. */
  #take(table: ArmTable): boolean {
    if (this.#isClosed) return true;
    if (table.samples < (this.live.peek()?.samples ?? 0)) return false;
    this.live.value = table;
    return true;
  }

  /** Ask for the newest table, one request at a time, until one comes that holds all that was told before it was asked for. */
  async refreshTable(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#isAsking) {
      this.#asksAgain = true;
      return;
    }
    this.#isAsking = true;
    this.#asksAgain = false;
    try {
      const table = await load.table(this.id);
      if (!this.#take(table) || this.#asksAgain) this.#refreshSoon();
    } catch (error) {
      this.problem.value = problemFrom(error);
    } finally {
      this.#isAsking = false;
    }
  }

  #refreshSoon(): void {
    if (this.#isClosed) return;
    this.#tableTimer ??= setTimeout(() => {
      this.#tableTimer = null;
      void this.refreshTable();
    }, EXACT_AFTER_MS);
  }

  /** Follow once, however often the first load is tried. */
  #follow(job: Job): void {
    if (this.#isFollowing || OVER.has(job.state)) return;
    this.#isFollowing = true;
    const after = (job as Job & { last_event?: number }).last_event ?? null;
    this.#stops.push(
      follow(paths.stream(this.id), after, {
        onMessages: (messages) => this.hear(messages),
        onEnd: () => void this.#settle(),
        onGap: () => void this.#settle(),
      }),
    );
  }

  /** Load what streams told in part: at the end, or after a gap. */
  async #settle(): Promise<void> {
    try {
      const asked = this.job.peek();
      this.job.value = withToldSince(await load.job(this.id), asked, this.job.peek(), ["state", "progress"]);
      this.series.value = await load.series(this.id);
    } catch (error) {
      this.problem.value = problemFrom(error);
    }
    await Promise.all([this.refreshTable(), this.loadRounds()]);
  }

  hear(messages: readonly Message[]): void {
    for (const message of messages) this.#hearOne(message);
    if (messages.some((message) => message.id !== null)) this.events.value += 1;
  }

  #hearOne(message: Message): void {
    const { kind } = message;
    if (kind === "wave") this.#hearWave(message.data as WaveData);
    else if (kind === "abandoned") this.#hearAbandoned(message.data as AbandonedData);
    else if (kind === "round") {
      const { round, samples } = message.data as { round: number; samples: number };
      this.#addRound(round, samples, null);
      void this.refreshTable();
    } else if (kind === "progress" || kind === "state") {
      const job = this.job.peek();
      if (job) this.job.value = { ...job, ...(message.data as Partial<Job>) };
    }
  }

  #hearWave(wave: WaveData): void {
    const table = this.live.peek();
    if (table) {
      const next = afterWave(table, wave);
      if (next === null) void this.refreshTable();
      else this.live.value = next;
    }
    this.#addPoints(wave);
    this.#exactSoon();
  }

  #addPoints(wave: WaveData): void {
    const series = this.series.peek();
    if (!series) return;
    const last = series.columns.index.at(-1) ?? -1;
    const fresh = wave.rewards
      .map((reward, offset) => ({ index: wave.first + offset, reward, fidelity: wave.fidelities?.[offset] ?? 1 }))
      .filter((one) => one.index > last);
    if (fresh.length === 0) return;
    const none = fresh.map(() => null);
    const { columns } = series;
    this.series.value = {
      ...series,
      points: series.points + fresh.length,
      points_total: Math.max(series.points_total, wave.samples),
      columns: {
        index: [...columns.index, ...fresh.map((one) => one.index)],
        reward: [...columns.reward, ...fresh.map((one) => one.reward)],
        clean_accuracy: [...columns.clean_accuracy, ...none],
        attacked_accuracy: [...columns.attacked_accuracy, ...none],
        fidelity: [...columns.fidelity, ...fresh.map((one) => one.fidelity)],
      },
    };
  }

  #hearAbandoned(data: AbandonedData): void {
    const table = this.live.peek();
    if (table) this.live.value = afterAbandoned(table, data);
    this.#addRound(data.round, data.samples, data.arms.length);
  }

  #addRound(round: number, samples: number, dropped: number | null): void {
    const others = this.rounds.peek().filter((mark) => mark.round !== round);
    const known = this.rounds.peek().find((mark) => mark.round === round);
    const mark = { round, samples, dropped: dropped ?? known?.dropped ?? 0 };
    this.rounds.value = [...others, mark].sort((a, b) => a.round - b.round);
  }

  /** Ask for the chosen edge's figures with bounds, at most every so often. */
  #exactSoon(): void {
    if (this.#exactTimer !== null || this.replay.at.peek() !== null) return;
    this.#exactTimer = setTimeout(() => {
      this.#exactTimer = null;
      void this.exact();
    }, EXACT_AFTER_MS);
  }

  async exact(): Promise<void> {
    const { slot } = this.selection.peek();
    const before = this.live.peek();
    if (!slot || !before || this.#isClosed) return;
    try {
      const page = await load.arms(this.id, before.samples, slot.cell, slot.edge.name);
      const table = this.live.peek();
      if (table?.samples === before.samples) this.live.value = withArms(table, slot, page);
      else this.#exactSoon();
    } catch (error) {
      this.problem.value = problemFrom(error);
    }
  }

  /** Show a sample's table; null: live. */
  seek(at: number | null): void {
    this.replay.seek(at);
    setQuery({ at: at === null ? null : String(at) });
    if (at === null && this.live.peek() === null) void this.refreshTable();
  }

  choose(change: { edge?: string; operation?: string | null; sample?: number | null }): void {
    const changes: Record<string, string | null> = {};
    if (change.edge !== undefined) changes.edge = change.edge;
    if (change.operation !== undefined) changes.operation = change.operation;
    if (change.sample !== undefined) changes.sample = change.sample === null ? null : String(change.sample);
    setQuery(changes);
  }
}

function progressSamples(job: Job | null): number {
  const progress = job?.progress;
  return progress && progress.kind === "search" ? progress.samples : 0;
}
