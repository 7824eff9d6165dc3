// Everything once, from the top of the page down; then the page says how long that took.

/** Links that scroll by themselves: MLflow shows the page in a sandboxed frame, which may follow none, not even these. */
function followLinks() {
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.querySelector(link.getAttribute("href")).scrollIntoView();
    });
  }
}

const matrix = new ConfusionMatrix();
followLinks();
showAdvice(matrix);
showIntents(matrix);
new Rejection();
showMeasured("kinds", "By kind of out-of-scope utterance", "Each kind against all in-scope rows. In-scope is the positive class.");
showMeasured("scores", "Other scores than energy", "How well each tells out-of-scope from in-scope; the model uses energy.");
showCalibration();
showCoverage();
showHardest(matrix.wrongRows());
showFindings();
showCarried();
matrix.showWorst();
requestAnimationFrame(() => setTimeout(() => (document.documentElement.dataset.ready = Math.round(performance.now()))));
