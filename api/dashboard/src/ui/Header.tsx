import { logOut, whoCalls } from "../live/caller";
import { type PageName, route } from "../state/router";
import { chooseTheme, chosenTheme, THEMES, type Theme } from "../state/theme";

const LINKS: readonly { href: string; page: PageName; title: string }[] = [
  { href: "/", page: "jobs", title: "Jobs" },
  { href: "/new", page: "new", title: "New search" },
  { href: "/system", page: "system", title: "System" },
];

function ThemeSwitch() {
  return (
    <label class="theme">
      <span class="sr-only">Colours</span>
      <select value={chosenTheme.value} onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}>
        {THEMES.map((theme) => (
          <option key={theme} value={theme}>
            {theme}
          </option>
        ))}
      </select>
    </label>
  );
}

function Caller() {
  const owner = whoCalls.value?.owner;
  if (!owner) return null;
  return (
    <span class="caller">
      <bdi>{owner}</bdi>{" "}
      <button type="button" onClick={() => void logOut()}>
        Log out
      </button>
    </span>
  );
}

/** What is on every page: where one is, where one can go, light or dark. */
export function Header() {
  return (
    <header class="top">
      <a class="brand" href="/" aria-label="nas: all jobs">
        nas
      </a>
      <nav aria-label="Pages">
        {LINKS.map((link) => (
          <a key={link.href} href={link.href} aria-current={route.value.page === link.page ? "page" : undefined}>
            {link.title}
          </a>
        ))}
        <a href="/docs">API</a>
      </nav>
      <Caller />
      <ThemeSwitch />
    </header>
  );
}
