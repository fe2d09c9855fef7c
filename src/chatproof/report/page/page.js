"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const clauses = all("details.clause");
  const groups = all(".group");
  const chips = all(".chip");
  const find = document.getElementById("find");
  const loud = document.getElementById("loud");
  const unfold = document.getElementById("unfold");
  const shown = document.getElementById("shown");
  const quiet = ["pass", "own", "observe"];
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));

  // Which clauses are shown: those with a chosen outcome, that hold the words.
  const filter = () => {
    const wanted = chips.filter(pressed).map((chip) => chip.dataset.outcome);
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const clause of clauses) {
      const outcome = clause.dataset.outcome;
      const text = clause.textContent.toLowerCase();
      const fits = (!wanted.length || wanted.includes(outcome)) && (!pressed(loud) || !quiet.includes(outcome)) && words.every((word) => text.includes(word));
      clause.hidden = !fits;
      count += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector("details.clause:not([hidden])");
    shown.textContent = count === clauses.length ? "" : `${count} of ${clauses.length} clauses`;
  };
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      press(chip, !pressed(chip));
      filter();
      if (pressed(chip)) document.getElementById("clauses").scrollIntoView();
    });
  }
  loud.addEventListener("click", () => { press(loud, !pressed(loud)); filter(); });
  find.addEventListener("input", filter);
  unfold.addEventListener("click", () => {
    press(unfold, !pressed(unfold));
    for (const clause of clauses) if (!clause.hidden) clause.open = pressed(unfold);
  });

  // A link to a clause opens it, whatever the filter says.
  const follow = () => {
    const clause = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!clause || !clause.matches("details.clause")) return;
    clause.hidden = false;
    clause.closest(".group").hidden = false;
    clause.open = true;
    clause.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();

  // On paper what was found is unfolded.
  addEventListener("beforeprint", () => {
    for (const clause of clauses) if (clause.querySelector(".finding, .reason") && !quiet.includes(clause.dataset.outcome)) clause.open = true;
  });

  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling.textContent;
      let done = true;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(button.previousElementSibling);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "copied" : "selected";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }

  // Values of a chart: the nearest one under the pointer, or one after the other by the arrow keys.
  for (const chart of all(".chart")) {
    const values = JSON.parse(chart.dataset.values);
    const svg = chart.querySelector("svg");
    const cursor = svg.querySelector(".cursor");
    const readout = chart.querySelector(".readout");
    let at = -1;
    const show = (index) => {
      at = Math.max(0, Math.min(values.length - 1, index));
      const [x, y, text] = values[at];
      const line = cursor.querySelector("line");
      const dot = cursor.querySelector("circle");
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      cursor.removeAttribute("hidden");
      readout.textContent = text;
    };
    const hide = () => {
      cursor.setAttribute("hidden", "");
      readout.textContent = "";
      at = -1;
    };
    if (!values.length) continue;
    chart.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width;
      let nearest = 0;
      values.forEach((value, index) => {
        if (Math.abs(value[0] - x) < Math.abs(values[nearest][0] - x)) nearest = index;
      });
      show(nearest);
    });
    chart.addEventListener("pointerleave", () => { if (document.activeElement !== chart) hide(); });
    chart.addEventListener("blur", hide);
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -values.length, End: values.length }[event.key];
      if (!step) return;
      event.preventDefault();
      show(at < 0 ? (step > 0 && event.key !== "End" ? 0 : event.key === "Home" ? 0 : values.length - 1) : at + step);
    });
  }
})();
