import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Width of an element in CSS pixels, kept up to date: pictures are drawn at the size they are seen in, never stretched. */
export function useWidth<Kind extends HTMLElement>(first = 600): { ref: RefObject<Kind | null>; width: number } {
  const ref = useRef<Kind>(null);
  const width = useSignal(first);
  useEffect(() => {
    const element = ref.current;
    if (!element) return undefined;
    const watch = new ResizeObserver(([entry]) => {
      const seen = Math.floor(entry?.contentRect.width ?? 0);
      if (seen > 0) width.value = seen;
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return { ref, width: width.value };
}
