import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { isLocked } from "./api/client";
import { ApiProblem } from "./api/problem";
import { followCaller } from "./live/caller";
import { followJobs } from "./live/jobs";
import { type PageName, type PageProps, route } from "./state/router";
import { Banner } from "./ui/Banner";
import { ErrorBox, Gone } from "./ui/ErrorBox";
import { Header } from "./ui/Header";
import { Login } from "./ui/Login";
import { Skeleton } from "./ui/States";

type Page = ComponentType<PageProps>;

/** Each page is a file of its own that the browser takes when it is first opened. */
const PAGES: Readonly<Record<Exclude<PageName, "nowhere">, () => Promise<{ default: Page }>>> = {
  jobs: () => import("./pages/jobs"),
  new: () => import("./pages/new"),
  search: () => import("./pages/search"),
  architecture: () => import("./pages/architecture"),
  training: () => import("./pages/training"),
  system: () => import("./pages/system"),
};

function Nowhere() {
  return (
    <>
      <h1 tabIndex={-1}>Not found</h1>
      <Gone problem={null} back={{ href: "/", label: "All jobs" }} />
    </>
  );
}

/** After a step to another page, reading goes on at its heading, as after a page that loads. */
function useFocusOnHeading(shown: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (!shown) return;
    if (first.current) first.current = false;
    else {
      document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  }, [shown]);
}

/** The page that the address names, once it is there. */
function Shown() {
  const { page, id } = route.value;
  const shown = useSignal<{ name: PageName; component: Page } | null>(null);
  const failure = useSignal<ApiProblem | null>(null);
  const turn = useSignal(0);

  useEffect(() => {
    if (page === "nowhere") return undefined;
    let isLeft = false;
    failure.value = null;
    PAGES[page]().then(
      (module) => {
        if (!isLeft) shown.value = { name: page, component: module.default };
      },
      (reason: unknown) => {
        if (!isLeft) failure.value = new ApiProblem(0, "page-missing", "This page could not be loaded", String(reason));
      },
    );
    return () => {
      isLeft = true;
    };
  }, [page, turn.value]);

  useEffect(followJobs, []);
  const There = shown.value?.name === page ? shown.value.component : null;
  useFocusOnHeading(There || page === "nowhere" ? `${page}/${id}` : "");
  return (
    <>
      {page === "nowhere" ? <Nowhere /> : null}
      {!There && page !== "nowhere" ? <h1 class="sr-only">{failure.value ? "Not loaded" : "Loading"}</h1> : null}
      {failure.value ? <ErrorBox problem={failure.value} onRetry={() => location.reload()} /> : null}
      {There ? <There key={id} id={id} /> : null}
      {!There && !failure.value && page !== "nowhere" ? <Skeleton /> : null}
    </>
  );
}

export function App() {
  useEffect(followCaller, []);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the page
      </a>
      <Header />
      {isLocked.value ? null : <Banner />}
      <main id="main" tabIndex={-1}>
        {isLocked.value ? <Login /> : <Shown />}
      </main>
    </>
  );
}
