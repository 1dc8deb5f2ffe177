//! Sets the theme before the first paint. A file of its own, because the page's policy allows no inline script.
//! Reads what `src/shell/theme.ts` keeps.

(function () {
  var choice = null;
  try {
    choice = localStorage.getItem('tidewire.theme');
  } catch (_) {
    // Storage may be forbidden; then the system decides.
  }
  var dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
