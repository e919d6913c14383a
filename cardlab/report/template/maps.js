// The maps of a page. Tests wait for these promises.
window.cardlabMaps = [...document.querySelectorAll("figure.map")].map(async (figure) => {
  try {
    return await cardlabMap.create(figure, JSON.parse(figure.querySelector(".data").textContent));
  } catch (error) {
    figure.prepend(cardlab.make("p", { className: "refused", textContent: `This map cannot be drawn: ${error.message}.` }));
    throw error;
  }
});
