// Package web is the page of the server: it hands out the assets that are embedded in the binary.
//
// In comes a GET for "/", "/favicon.svg" or "/assets/<hash>/…"; out goes a file, compressed once at start-up. The page itself
// is ES modules without a build step (assets/js) over third-party modules (vendor/), and talks to the HTTP API of the same
// origin only: a folder for each page (search, browse, sources, clusters, operations), the frame and the router in app.js and
// view.js, texts in both languages in texts/. What must hold: nothing is loaded from another host, the Content-Security-Policy allows neither inline
// scripts nor inline styles, and the first load stays under 150 KB compressed.
package web
