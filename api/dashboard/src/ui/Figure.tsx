import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";
import { save } from "./save";

interface FigureProps {
  title: string;
  /** What the axes or cells mean and their units, in words. */
  unit?: string;
  children: ComponentChildren;
  /** Address of the same figures as CSV, or how to make them here. */
  csv?: string | (() => string);
  /** Address of the picture as SVG; "inside" saves the SVG that is drawn here. */
  svg?: string | "inside";
  /** Path of the request that made it, from /v1 on. */
  request?: string;
  name?: string;
}

/** Return pictures as one, below each other, with the colours that they are seen in: a file knows no variables. */
function drawing(parts: readonly SVGSVGElement[]): string {
  const style = getComputedStyle(document.documentElement);
  const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  let height = 0;
  for (const part of parts) {
    const copy = part.cloneNode(true) as SVGSVGElement;
    copy.setAttribute("y", String(height));
    whole.append(copy);
    height += part.clientHeight;
  }
  const width = Math.max(...parts.map((part) => part.clientWidth));
  whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
  whole.setAttribute("width", String(width));
  whole.setAttribute("height", String(height));
  const text = new XMLSerializer().serializeToString(whole);
  return text.replace(/var\((--[\w-]+)\)/g, (_, variable: string) => style.getPropertyValue(variable).trim());
}

function Requests(props: { request: string }) {
  const url = location.origin + props.request;
  return (
    <details class="request">
      <summary>request</summary>
      <pre>
        <code>{`curl '${url}'\n\nimport httpx\nhttpx.get("${url}").json()`}</code>
      </pre>
    </details>
  );
}

/** A picture with its title, its units in words, and its figures, itself and the request to take away. */
export function Figure(props: FigureProps) {
  const id = useId();
  const body = useRef<HTMLDivElement>(null);
  const name = props.name ?? props.title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const saveSvg = () => {
    const drawn = [...(body.current?.querySelectorAll<SVGSVGElement>("svg[role=img]") ?? [])];
    if (drawn.length > 0) save(new Blob([drawing(drawn)], { type: "image/svg+xml" }), `${name}.svg`);
  };
  const { csv, svg } = props;
  return (
    <figure class="figure" aria-labelledby={id}>
      <figcaption>
        <span class="figure-title" id={id}>
          {props.title}
        </span>
        {props.unit ? <span class="figure-unit"> {props.unit}</span> : null}
        <span class="figure-links">
          {typeof csv === "string" ? (
            <a href={csv} download={`${name}.csv`}>
              CSV
            </a>
          ) : null}
          {typeof csv === "function" ? (
            <button type="button" class="link" onClick={() => save(new Blob([csv()], { type: "text/csv" }), `${name}.csv`)}>
              CSV
            </button>
          ) : null}
          {svg === "inside" ? (
            <button type="button" class="link" onClick={saveSvg}>
              SVG
            </button>
          ) : null}
          {svg && svg !== "inside" ? (
            <a href={svg} download={`${name}.svg`}>
              SVG
            </a>
          ) : null}
          {props.request ? <Requests request={props.request} /> : null}
        </span>
      </figcaption>
      <div ref={body}>{props.children}</div>
    </figure>
  );
}
