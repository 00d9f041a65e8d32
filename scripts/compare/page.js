"use strict";
// The theme and the reasons: a click or a key, t and w.
const themes = { system: "◐", light: "☀", dark: "☾" };
const themeButton = document.getElementById("theme"), whyButton = document.getElementById("why");

function nextTheme() {
    const order = Object.keys(themes), root = document.documentElement;
    root.dataset.theme = order[(order.indexOf(root.dataset.theme) + 1) % order.length];
    themeButton.textContent = themes[root.dataset.theme];
    themeButton.title = `Theme: ${root.dataset.theme} (t)`;
}

function turnReasons() {
    const hidden = document.body.classList.toggle("no-why");
    whyButton.setAttribute("aria-pressed", String(!hidden));
}

themeButton.addEventListener("click", nextTheme);
whyButton.addEventListener("click", turnReasons);
document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey)
        return;
    if (event.key === "t")
        nextTheme();
    if (event.key === "w")
        turnReasons();
});
document.documentElement.dataset.ready = "1";
