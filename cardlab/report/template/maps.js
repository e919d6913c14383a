// The maps of a page. Tests wait for these promises.
window.cardlabMaps = [...document.querySelectorAll("figure.map")].map(async (figure) => {
  try {
    const data = JSON.parse(figure.querySelector(".data").textContent);
    const map = await cardlabMap.create(figure, data);
    // a frame in a notebook has no address
    if (cardlab.about(figure).title) figure.querySelector(".tools").append(...cardlab.passing(figure, data.title));
    return map;
  } catch (error) {
    figure.prepend(cardlab.make("p", { className: "refused", textContent: `This map cannot be drawn: ${error.message}.` }));
    throw error;
  }
});
