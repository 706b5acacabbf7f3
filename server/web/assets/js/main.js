// Where the page begins.
import { resume } from "./api.js";
import { App } from "./app.js";
import { html, render } from "./html.js";

render(html`<${App} />`, document.getElementById("app"));
resume();
