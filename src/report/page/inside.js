// The sections on the net itself: filters, feature maps, device, timings, layers and settings.
"use strict";

function filters({ filters: found, missing }) {
  const title = "Filters of the first layer";
  if (!found) return section("filters", title, missing.filters ?? later());
  const side = found.pictures.length > 32 ? 44 : 56;
  const count = found.pictures.length < found.total ? `The first ${found.pictures.length} of ${found.total}` : `All ${found.total}`;
  const most = short(found.largest);
  const colours = found.pictures[0]?.scale === "rgb";
  const how = colours ? `, as RGB colours: middle grey is zero, and the scale goes to ±${most}` : ", on one scale";
  return section("filters", title,
    `${count} of ${found.layer}${found.averaged ? ", averaged over the input channels" : ""}${how}.`,
    el("div", { class: "tiles" }, found.pictures.map((one, at) => picture(one, `filter ${at}`, side))),
    colours ? null : scaleBar(`−${most}`, most, true));
}

/** What each layer makes of one sample: the first and the last at once, those between when they are unfolded. */
function maps({ maps: found, classes, missing }) {
  const title = "Feature maps of one image";
  if (!found) return section("maps", title, missing.maps ?? later());
  const kind = found.label === null || byPixel() ? "" : `, class ${found.label},`;
  const what = found.given ? "The picture" : `The first image of the ${measured()} set${kind}`;
  const rows = found.layers.map((layer, at) => {
    const flat = layer.shape.length === 1;
    const shown = flat ? Math.min(512, layer.shape[0]) : layer.pictures.length;
    const total = layer.shape[layer.shape.length - 1];
    const parts = flat ? "features" : "channels";
    const some = shown < total ? `, the first ${shown} of ${total} ${parts}` : "";
    const final = at === found.layers.length - 1;
    const note = el("span", { class: "soft small" }, `${sizes(layer.shape)}${some}, up to ±${short(layer.largest)}${final && flat ? ", the logits" : ""}`);
    const pictures = () => el("div", { class: flat ? "rows" : "tiles" }, layer.pictures.map((one, n) => picture(one, `${layer.layer}, ${flat ? "features" : `channel ${n}`}`, flat ? null : 52)));
    if (at > 0 && !final) return lazily(`${at}  ${layer.layer}`, pictures, note);
    const shortNames = final && flat && classes.length <= 24 && classes.every((name) => name.length <= 4);
    return el("div", { class: "layer" }, el("h3", {}, layer.layer, note), pictures(),
      shortNames ? el("div", { class: "names" }, classes.map((name) => el("span", {}, name))) : null);
  });
  return section("maps", title,
    `${what} through the layers of the net. Blue is positive, orange is negative; each layer has its own scale.`,
    el("div", { class: "layer first" }, el("h3", {}, "input", el("span", { class: "soft small" }, `${found.picture.height} × ${found.picture.width}`)),
      el("div", { class: "tiles" }, picture(found.picture, "the input", 84)),
      found.name ? el("p", { class: "small soft" }, source(found.name)) : null),
    el("div", { class: "between" }, rows));
}

function timings({ timings: found, missing }) {
  const title = "Time per kernel";
  if (!found) return section("timings", title, missing.timings ?? later());
  const total = found.kernels.reduce((all, one) => all + one.ms, 0);
  // What a kernel works for is in its name, except for helpers such as a transpose.
  const name = (kernel, op) => el("span", { title: kernel }, kernel.split("<")[0],
    kernel.startsWith(op) ? null : el("span", { class: "soft small helper" }, ` for ${op}`));
  const rows = found.kernels.map((one) => [
    name(one.kernel, one.op), sizes(one.shape), fixed(one.ms, 3), percent(one.ms / total, 0), bar(one.ms / total)]);
  return section("timings", title,
    `A training step of ${found.batch_size} samples on ${found.device}, measured when this report was made: the median of a few steps, with each kernel timed alone. In a run the kernels follow each other without a pause.`,
    table(["kernel", "result", "ms", "share", ""], rows, [0, 1], ["all", "", fixed(total, 3), "", ""], [1, 4]));
}

function device(run) {
  const { device: used = {}, reason, refused = [] } = run.device;
  const entry = ([key, value]) => (value === undefined || value === "" ? null : el("div", {}, el("dt", {}, key), el("dd", {}, String(value))));
  const rows = [["device", used.name], ["type", used.type], ["interface", used.backend], ["driver", used.threads ? "" : [used.driver, used.driver_info].filter(Boolean).join(", ")], ["threads", used.threads]];
  return section("device", "The device", reason ? `Reason: ${reason}.` : null,
    el("dl", { class: "settings" }, rows.map(entry)),
    refused.length ? fold("Devices not chosen", table(["device", "why not"], refused.map((one) => [one.device, one.why]), [0, 1])) : null);
}

function layers({ model }) {
  if (!model) return null;
  const rows = model.layers.map(([name, shape, params], at) => [`${at}  ${name}`, sizes(shape), params ? grouped(params) : nothing]);
  const total = model.layers.reduce((all, one) => all + one[2], 0);
  return section("layers", "The model", `${model.name}, for ${model.input.length === 1 ? model.reads : `images of ${sizes(model.input)} (height, width, channels)`}.`,
    table(["layer", "result", "parameters"], rows, [0, 1], ["all", "", grouped(total)]));
}

function settings(run) {
  const entries = Object.entries(run.settings).map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, value)));
  return section("settings", "Settings", ["From config.toml; ", el("code", {}, "wgrad train --config"), " starts a run with the same settings."], el("dl", { class: "settings" }, entries));
}
