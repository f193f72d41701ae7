import { effect, signal } from "@preact/signals";
import { get, isLocked, SESSION, send, type View } from "../api/client";

/** Whose key this browser showed; null until that is known, and without an owner where the service asks for none. */
export const whoCalls = signal<View<"SessionView"> | null>(null);

/** Ask whose key it is, while the page is not locked; returns what ends that. */
export function followCaller(): () => void {
  return effect(() => {
    if (isLocked.value) {
      whoCalls.value = null;
      return;
    }
    get(SESSION).then(
      (told) => {
        whoCalls.value = told;
      },
      () => undefined, // the page itself says that nobody answers
    );
  });
}

/** Forget the key in this browser. */
export async function logOut(): Promise<void> {
  await send("DELETE", SESSION);
  location.reload();
}
