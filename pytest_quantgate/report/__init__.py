"""How a run is told: one serializable RunReport, and the views that are rendered from it."""
