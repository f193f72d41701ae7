import { type ReadonlySignal, signal } from "@preact/signals";

const seconds = signal(Date.now());
const visible = signal(document.visibilityState === "visible");

/** Milliseconds since 1970, each second anew while the page is seen: ages hang on it. */
export const now: ReadonlySignal<number> = seconds;
/** Whether anybody can see the page; what is drawn while nobody does is thrown away. */
export const isVisible: ReadonlySignal<boolean> = visible;

setInterval(() => {
  if (visible.peek()) seconds.value = Date.now();
}, 1000);

document.addEventListener("visibilitychange", () => {
  visible.value = document.visibilityState === "visible";
  if (visible.peek()) seconds.value = Date.now();
});
