/** Figures as people read them: a true minus sign, units in words, no more digits than mean something. */

export const MINUS = "\u2212";
export const NONE = "\u2013";

type Maybe = number | null | undefined;

function isFigure(value: Maybe): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** A number with so many digits after the point. */
export function fixed(value: Maybe, digits = 1): string {
  if (!isFigure(value)) return NONE;
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? MINUS + text : text;
}

/** A share in [0, 1] as percent, with its sign. */
export function percent(value: Maybe, digits = 1): string {
  return isFigure(value) ? `${fixed(value * 100, digits)} %` : NONE;
}

/** A difference, always with a sign. */
export function signed(value: Maybe, digits = 1): string {
  if (!isFigure(value)) return NONE;
  const text = fixed(value, digits);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** A whole number with thin spaces between thousands. */
export function count(value: Maybe): string {
  if (!isFigure(value)) return NONE;
  const digits = Math.abs(Math.round(value))
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, "\u202f");
  return value < 0 ? MINUS + digits : digits;
}

/** A size with the unit that fits: 1,000 of one are 1 of the next. */
function scaled(value: number, units: readonly string[]): string {
  let left = Math.abs(value);
  let unit = 0;
  while (left >= 999.5 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || left >= 99.5 ? 0 : left >= 9.95 ? 1 : 2;
  return `${value < 0 ? MINUS : ""}${left.toFixed(digits)}${units[unit] ? ` ${units[unit]}` : ""}`;
}

export function bytes(value: Maybe): string {
  return isFigure(value) ? scaled(value, ["B", "kB", "MB", "GB", "TB"]) : NONE;
}

/** Operations or parameters: 1.2 M. */
export function amount(value: Maybe): string {
  return isFigure(value) ? scaled(value, ["", "k", "M", "G", "T"]) : NONE;
}

/** A span of time: "0.4 s", "2 min 10 s", "3 h 5 min", "2 d 4 h". */
export function seconds(value: Maybe): string {
  if (!isFigure(value)) return NONE;
  const s = Math.max(0, value);
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const whole = Math.round(s);
  if (whole < 3600) return joined(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86_400) return joined(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return joined(Math.floor(whole / 86_400), "d", Math.floor((whole % 86_400) / 3600), "h");
}

function joined(much: number, large: string, little: number, small: string): string {
  return little ? `${much} ${large} ${little} ${small}` : `${much} ${large}`;
}

/** How long ago, in one unit: "just now", "3 min", "1 h", "2 d". */
export function age(when: string | number | null | undefined, now: number): string {
  if (when === null || when === undefined) return NONE;
  const then = typeof when === "number" ? when : Date.parse(when);
  if (!Number.isFinite(then)) return NONE;
  const s = Math.max(0, (now - then) / 1000);
  if (s < 5) return "just now";
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86_400)} d`;
}

/** A moment in this place's time. */
export function moment(when: string | null | undefined): string {
  return when ? new Date(when).toLocaleString() : NONE;
}

/** "1 job", "2 jobs". */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** 1st, 2nd, 3rd, 4th ... */
export function ordinal(value: number): string {
  const tens = value % 100;
  const ending = tens >= 11 && tens <= 13 ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[value % 10] ?? "th");
  return `${value}${ending}`;
}
