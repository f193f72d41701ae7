import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

/** A part of a page with a heading; a region of its own for those who jump from one to the next. */
export function Card(props: { title: string; children: ComponentChildren; actions?: ComponentChildren; class?: string }) {
  const id = useId();
  return (
    <section class={`card ${props.class ?? ""}`} aria-labelledby={id}>
      <div class="card-head">
        <h2 id={id}>{props.title}</h2>
        {props.actions}
      </div>
      {props.children}
    </section>
  );
}
