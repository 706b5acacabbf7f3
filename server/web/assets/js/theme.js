// A plain script that runs before the first paint, so that a chosen theme does not flash in the other one.
(function () {
  try {
    const theme = localStorage.getItem("tally.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage can be forbidden; the page then follows the system.
  }
})();
