import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";
import { queryValue, setQuery } from "../state/router";

export interface Tab {
  readonly key: string;
  readonly title: string;
  readonly render: () => ComponentChildren;
}

/** Tabs whose choice is in the address under `name`; only the chosen one is drawn. Arrows move, as people expect. */
export function Tabs(props: { name: string; label: string; tabs: readonly Tab[] }) {
  const base = useId();
  const list = useRef<HTMLDivElement>(null);
  const asked = queryValue(props.name).value;
  const chosen = props.tabs.find((tab) => tab.key === asked) ?? props.tabs[0];
  if (!chosen) return null;
  const { key } = chosen;
  const choose = (tab: Tab) => setQuery({ [props.name]: tab.key === props.tabs[0]?.key ? null : tab.key });

  function move(event: KeyboardEvent): void {
    const at = props.tabs.findIndex((tab) => tab.key === key);
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: props.tabs.length - 1 };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = (to + props.tabs.length) % props.tabs.length;
    const tab = props.tabs[next];
    if (tab) choose(tab);
    (list.current?.children[next] as HTMLElement | undefined)?.focus();
  }

  return (
    <div class="tabs">
      <div role="tablist" aria-label={props.label} ref={list} onKeyDown={move}>
        {props.tabs.map((tab) => (
          <button
            key={tab.key}
            type="button"
            role="tab"
            id={`${base}-${tab.key}`}
            aria-selected={tab === chosen}
            aria-controls={`${base}-panel`}
            tabIndex={tab === chosen ? 0 : -1}
            onClick={() => choose(tab)}
          >
            {tab.title}
          </button>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a panel is where Tab goes after its tab */}
      <div role="tabpanel" id={`${base}-panel`} aria-labelledby={`${base}-${chosen.key}`} tabIndex={0}>
        {chosen.render()}
      </div>
    </div>
  );
}
