// Draws the page's figures. Colours are names of the stylesheet's palette, so that a change of light and dark draws them again.
(function () {
  "use strict";
  var figures = JSON.parse(document.getElementById("figures").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };
  var NARROW = 600, LETTER = 6.2;

  function palette() {
    var style = getComputedStyle(document.documentElement);
    return function (name) {
      var parts = name.slice(1).split("/");
      var hex = style.getPropertyValue("--" + parts[0]).trim();
      if (parts.length < 2 || hex.length !== 7) return hex;
      var channels = [1, 3, 5].map(function (at) { return parseInt(hex.slice(at, at + 2), 16); });
      return "rgba(" + channels.join(",") + "," + parts[1] + ")";
    };
  }

  // Only what stands under a name that ends in "color" is a colour; any other text stays as it is.
  function coloured(value, key, colour) {
    if (Array.isArray(value)) return value.map(function (one) { return coloured(one, key, colour); });
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (name) { copy[name] = coloured(value[name], name, colour); });
      return copy;
    }
    return typeof value === "string" && value[0] === "@" && /color$/.test(key) ? colour(value) : value;
  }

  function axis(own, colour, narrow) {
    var base = {
      gridcolor: colour("@grid"), linecolor: colour("@line"), zerolinecolor: colour("@line"), automargin: true, ticks: "outside",
      tickcolor: colour("@line"), nticks: narrow ? 5 : 10, exponentformat: "power"
    };
    var merged = Object.assign(base, own);
    if (merged.type === "category") { delete merged.nticks; merged.ticks = ""; merged.showgrid = false; }
    merged.title = Object.assign({ standoff: 8, font: { size: 12.5 } }, own.title);
    return merged;
  }

  function drawn(element, figure, view) {
    var colour = palette(), width = element.clientWidth, narrow = width < NARROW;
    var layout = coloured(view.layout, "", colour);
    var named = view.data.filter(function (trace) { return trace.showlegend !== false; }).length;
    var height = figure.height + (narrow ? 18 * named : 0);
    element.style.height = height + "px";
    var shares = (layout.meta || {}).shares || [];
    layout.annotations = (layout.annotations || []).filter(function (one, index) {
      return shares[index] === undefined || shares[index] * (width - 70) > one.text.length * LETTER;
    });
    layout.xaxis = axis(layout.xaxis || {}, colour, narrow);
    layout.yaxis = axis(layout.yaxis || {}, colour, narrow);
    Object.assign(layout, {
      paper_bgcolor: colour("@paper"), plot_bgcolor: colour("@paper"), height: height, hovermode: "closest", bargap: 0.28,
      font: { family: "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif", size: 12, color: colour("@ink") },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom", traceorder: "normal", bgcolor: colour("@paper/0") },
      margin: Object.assign({ l: 56, r: 12, t: 16, b: 48 }, layout.margin),
      showlegend: true
    });
    return Plotly.react(element, coloured(view.data, "", colour), layout, CONFIG);
  }

  function failed(element, error) {
    element.className += " failed";
    element.textContent = "This chart cannot be drawn: " + error;
  }

  function chosen(key) {
    var input = document.querySelector('input[name="' + key + '"]:checked');
    return input ? Number(input.value) : 0;
  }

  function show(key) {
    var element = document.getElementById(key), figure = figures[key];
    try {
      return Promise.resolve(drawn(element, figure, figure.views[chosen(key)])).catch(function (e) { failed(element, e); });
    } catch (error) {
      failed(element, error);
      return Promise.resolve();
    }
  }

  function all() { return Promise.all(Object.keys(figures).map(show)); }

  document.addEventListener("change", function (event) {
    if (event.target.type === "radio" && figures[event.target.name]) show(event.target.name);
  });
  dark.addEventListener("change", all);
  all().then(function () { document.documentElement.dataset.drawn = document.querySelectorAll(".js-plotly-plot").length; });
}());
