import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";

/** What a person chose; `auto` follows the system. */
export type Theme = "auto" | "light" | "dark";
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];

const KEY = "nas-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(system.matches);
system.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

function isTheme(value: string | null): value is Theme {
  return THEMES.some((theme) => theme === value);
}

/** `?theme=` wins, so that an address shows what its sender saw; else what was chosen here before. */
function chosen(): Theme {
  const asked = new URLSearchParams(location.search).get("theme");
  if (isTheme(asked)) return asked;
  try {
    const stored = localStorage.getItem(KEY);
    return isTheme(stored) ? stored : "auto";
  } catch {
    return "auto";
  }
}

const theme = signal<Theme>(chosen());
export const chosenTheme: ReadonlySignal<Theme> = theme;
/** What is shown now, for pictures that need to know. */
export const isDark: ReadonlySignal<boolean> = computed(() =>
  theme.value === "auto" ? systemIsDark.value : theme.value === "dark",
);

export function chooseTheme(next: Theme): void {
  theme.value = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // a browser that keeps nothing shows the choice until it is closed
  }
}

/** Keep the document's theme: colours are CSS variables that hang on it. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = isDark.value ? "dark" : "light";
  });
}
