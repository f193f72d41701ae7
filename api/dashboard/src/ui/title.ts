import { useEffect } from "preact/hooks";

/** Name the page in the browser's tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · nas`;
  }, [title]);
}
