// The one place that knows where the vendored modules are: the other files take their tools from here.
import { h } from "../vendor/preact/preact.js";
import htm from "../vendor/htm/htm.js";

/** html`<p class=${c}>${text}</p>` makes a virtual node. Values become text nodes or properties, never markup. */
export const html = htm.bind(h);
export { Component, render } from "../vendor/preact/preact.js";
export { useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact/hooks.js";
export { batch, computed, effect, signal } from "../vendor/signals/signals.js";
