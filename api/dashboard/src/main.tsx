import { render } from "preact";
import { App } from "./app";
import { followLinks } from "./state/router";
import { applyTheme } from "./state/theme";
import "./styles/theme.css";
import "./styles/base.css";
import "./styles/pieces.css";

applyTheme();
followLinks();
const root = document.getElementById("app");
if (root) render(<App />, root);
