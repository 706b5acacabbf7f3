// Line icons on a grid of 16, drawn in the colour of the text around them.
import { html } from "./html.js";

const paths = {
  auto: "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2ZM8 3.4v9.2a4.6 4.6 0 0 1 0-9.2Z",
  light: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13",
  dark: "M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1Z",
  around: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 1 0 8 2.2M8 4.8V8l2.2 1.4",
  plus: "M8 3.5v9M3.5 8h9",
  minus: "M3.5 8h9",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  close: "M4 4l8 8M12 4l-8 8",
  up: "M8 12.5v-9M4 7.5l4-4 4 4",
  down: "M8 3.5v9M4 8.5l4 4 4-4",
  link: "M6.6 9.4l2.8-2.8M7.3 4.5l1.2-1.2a2.95 2.95 0 0 1 4.2 4.2l-1.2 1.2M8.7 11.5l-1.2 1.2a2.95 2.95 0 0 1-4.2-4.2l1.2-1.2",
  fields: "M2.5 4h11M2.5 8h7M2.5 12h9",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2 13.5 13.5",
  right: "M6 4l4 4-4 4",
  left: "M10 4L6 8l4 4",
  context: "M2.5 3.5h7M2.5 12.5h7M2.5 8h11",
  column: "M2.5 3h11v10h-11zM8 3v10",
  group: "M3 13V8M6.4 13V4M9.7 13V6.5M13 13V10",
  download: "M8 2.5v7.5M4.8 7 8 10.2 11.2 7M3 13.2h10",
  star: "M8 2.2l1.8 3.7 4 .6-2.9 2.8.7 4L8 11.4l-3.6 1.9.7-4L2.2 6.5l4-.6Z",
  zoomout: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2 13.5 13.5M5 7h4",
  trash: "M3 4.5h10M6.3 4.5V3h3.4v1.5M4.4 4.5l.6 8.7h6l.6-8.7",
};

export function Icon({ name }) {
  return html`<svg class=${`i i-${name}`} viewBox="0 0 16 16" aria-hidden="true"><path d=${paths[name]} /></svg>`;
}
